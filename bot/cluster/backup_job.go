package cluster

import (
	"bufio"
	"bytes"
	"context"
	"maps"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// backupJob makes the Job of a manifest in the repository, unless one of the
// same manifest that is new enough serves.
func (c *Cluster) backupJob(ctx context.Context, r BackupRequest) (BackupResult, error) {
	job, err := parseJob(r.Backup.Target, r.Manifest)
	if err != nil {
		return BackupResult{}, err
	}
	source := hash("job", r.Backup.Target, string(r.Manifest))
	defer c.only("job " + source)()
	own, free, err := c.ownJob(ctx, r, job.Namespace, job.Name)
	if err != nil {
		return BackupResult{}, err
	}
	if own != nil {
		return c.judge(ctx, r, own)
	}
	list := attempt{"list", "batch", "jobs", job.Namespace, ""}
	same, err := c.api.Jobs(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labelSource + "=" + source})
	if err := list.check(err); err != nil {
		return BackupResult{}, err
	}
	if result, err := c.shared(ctx, r, same.Items); result.Shared || err != nil {
		return result, err
	}
	job.Name = free
	if job.Labels == nil {
		job.Labels = map[string]string{}
	}
	maps.Copy(job.Labels, r.marks(source))
	return c.startJob(ctx, r, job)
}

// manifests decodes what people write: a Job, in which nothing is unknown.
var manifests = sync.OnceValue(func() runtime.Decoder {
	scheme := runtime.NewScheme()
	if err := batchv1.AddToScheme(scheme); err != nil {
		panic(err) // a fault of the libraries' versions
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
})

// largestManifest bounds what is parsed; the API server takes 3 MiB.
const largestManifest = 1 << 20

// parseJob reads the one Job of a manifest, in YAML or JSON. Unknown fields, a
// missing namespace and anything that is not a batch/v1 Job are refused with the
// path of the manifest.
func parseJob(path string, manifest []byte) (*batchv1.Job, error) {
	if len(manifest) > largestManifest {
		return nil, refuse("%s is larger than %d KiB", path, largestManifest>>10)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	var only []byte
	for {
		document, err := documents.Read()
		if err != nil {
			break // the end: reading from memory fails in no other way
		}
		if json, err := utilyaml.ToJSON(document); err == nil && bytes.Equal(json, []byte("null")) {
			continue // nothing but comments
		}
		if only != nil {
			return nil, refuse("%s has more than one document: a backup is one Job", path)
		}
		only = bytes.Clone(document)
	}
	if only == nil {
		return nil, refuse("%s is empty: a manifest of one Job is expected", path)
	}
	object, kind, err := manifests().Decode(only, nil, nil)
	if err != nil {
		return nil, refuse("%s is not a Job that can be read: %s", path, cut(err.Error(), longestLine))
	}
	job, ok := object.(*batchv1.Job)
	if !ok {
		return nil, refuse("%s is a %s: a Job of batch/v1 is expected", path, kind.Kind)
	}
	if job.Namespace == "" {
		return nil, refuse("%s has no metadata.namespace: say where the Job runs", path)
	}
	if job.Name == "" {
		job.Name = job.GenerateName
	}
	if job.Name == "" {
		return nil, refuse("%s has no metadata.name", path)
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: job.Name, Labels: job.Labels, Annotations: job.Annotations},
		Spec:       job.Spec,
	}, nil
}
