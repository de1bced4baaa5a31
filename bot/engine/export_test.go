package engine

// Pause is how long a job that failed n times waits.
var Pause = pause
