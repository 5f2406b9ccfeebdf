# The service as an image of one file. The host's network namespace and
# CAP_NET_ADMIN are needed: see docker-compose.yml.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN make build VERSION=$VERSION

FROM scratch
COPY --from=build /src/bin/ctferry /usr/bin/ctferry
ENTRYPOINT ["/usr/bin/ctferry"]
CMD ["run"]
