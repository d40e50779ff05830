//! Compiles `proto/cri/v1/api.proto` into messages, clients and servers, without `protoc`.
//!
//! Maps become `BTreeMap`, so that what we send is stable. `AuthConfig` gets no derived `Debug`: it holds secrets, and
//! the library writes one that hides them.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/cri/v1/api.proto");
    let files = protox::compile(["cri/v1/api.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .btree_map(".")
        .skip_debug([".runtime.v1.AuthConfig"])
        .compile_fds(files)?;
    Ok(())
}
