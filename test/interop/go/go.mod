module memif/test/interop/go

go 1.19

require go.fd.io/govpp/extras v0.1.0
