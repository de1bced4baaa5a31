# One static binary, which knows time zones, and certificates: nothing else is in the image.
# docker build -t belay .   (or ko build ./cmd/belay, by .ko.yaml)
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w -buildid=" -o /out/belay ./cmd/belay

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/belay /usr/bin/belay
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/bin/belay"]
CMD ["serve"]
