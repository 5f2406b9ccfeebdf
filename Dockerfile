# The service as an image of one file, for a user that is not root. The host's
# network namespace and CAP_NET_ADMIN are needed: see docker-compose.yml.
FROM golang:1.26 AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libcap2-bin && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN make build VERSION=$VERSION
# Permitted (p) and not effective (e): so it also starts where the container does
# not grant the capability; the program makes it effective where it is granted.
RUN mkdir -p /image/usr/bin /image/etc/ssl/certs /image/etc/ctferry /image/var/lib/ctferry /image/var/log/ctferry \
 && cp bin/ctferry /image/usr/bin/ \
 && setcap cap_net_admin,cap_bpf=p /image/usr/bin/ctferry \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && cp configs/ctferry.yaml /image/etc/ctferry/ \
 && chown 65532:65532 /image/var/lib/ctferry /image/var/log/ctferry

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/usr/bin/ctferry"]
CMD ["run"]
