//! The pause container, which holds a PID namespace that a pod's containers share.
//!
//! It is a container like any other to the monitor, the storage and the records, except that no list shows it and
//! that it comes and goes with the pod. Pods whose containers have PID namespaces of their own have none.

use std::sync::Arc;

use crio_cgroups::Placement;
use crio_images::PullRequest;
use crio_spec::InfraInput;
use crio_types::{ContainerConfig, ContainerId, ContainerMetadata, ImageSpec, SandboxId, Signal};

use crate::container::create::{self, Plan};
use crate::container::image_volume::Holds;
use crate::container::{mapped, specify, start};
use crate::context::Context;
use crate::record::{ContainerRecord, SandboxRecord};
use crate::sandbox::Sandbox;
use crate::{PodError, container};

/// The name CRI-O gives it, which cAdvisor and kubelet know.
const NAME: &str = "POD";

/// The pause container's id: the sandbox's, as in CRI-O, so that cgroup and inspection agree on it.
pub(crate) fn id(sandbox: &SandboxId) -> ContainerId {
    sandbox.as_str().parse().expect("both kinds of id have the same form")
}

/// Makes and starts the pod's pause container.
pub(crate) async fn run(context: &Arc<Context>, sandbox: &Arc<Sandbox>, id: &ContainerId) -> Result<(), PodError> {
    let image = pause_image(context, sandbox.id()).await?;
    let cgroups = &context.engines.cgroups;
    let pod = sandbox.record();
    let cgroup = cgroups.sandbox_cgroup(&pod.config.cgroup_parent, sandbox.id());
    let cgroup = cgroup.map_err(PodError::step("placing the pause container's cgroup", sandbox.id()))?;
    let record = record(context, &pod, id, &image, &cgroup);
    let plan = Plan { record, cgroup, image, holds: Holds::default(), checkpoint: None };
    let infra = create::make(context, sandbox, plan, container::Kind::Infra).await?;
    start::start_container(context, &infra).await?;
    Ok(())
}

/// Writes the pause container's bundle; the counterpart of [`specify::bundle`].
pub(crate) fn bundle(context: &Context, sandbox: &Sandbox, plan: &Plan) -> Result<specify::Bundle, PodError> {
    let of = || format!("the pause container of {}", sandbox.id());
    let pod = sandbox.record();
    let confinement = context.live.load().security.confine_infra_of(&specify::pod_context(sandbox, &pod));
    let confinement = confinement.map_err(PodError::step("confining", of()))?;
    let rootfs = specify::mount_root(context, &pod, plan, specify::mount_label(&confinement))?;
    let owned = specify::OwnedSandboxFacts::of(sandbox, &pod)?;
    let log_path = plan.record.log_path.display().to_string();
    let spec = crio_spec::infra_spec(&InfraInput {
        sandbox: owned.facts(&pod),
        image: &plan.image.config,
        image_name: &plan.image.name,
        command: &context.config.pause_command,
        confinement: &confinement,
        rootfs: &rootfs,
        cgroups_path: &plan.cgroup.oci_path,
        cgroup_driver: specify::cgroup_driver(context),
        log_path: &log_path,
        created: plan.record.created_at,
        host: &specify::host_facts(context, sandbox),
        cpuset: &context.config.infra_cpuset,
    });
    let mut spec = spec.map_err(PodError::step("writing the specification", of()))?;
    mapped::stage(context, &pod, &plan.record, &mut spec)?;
    specify::write_spec(&plan.record.bundle, &spec)?;
    let process = spec.process().clone().unwrap_or_default();
    let user = crio_types::ContainerUser::default();
    Ok(specify::Bundle { rootfs, mounts: Vec::new(), expected: Vec::new(), user, process })
}

/// The pause image, pulled when it is not here.
async fn pause_image(context: &Context, id: &SandboxId) -> Result<crio_images::ResolvedImage, PodError> {
    let images = &context.engines.images;
    let spec = ImageSpec { image: context.config.pause_image.clone(), ..ImageSpec::default() };
    if let Ok(image) = images.prepare(&spec).await {
        return Ok(image);
    }
    let pulled = images.pull(PullRequest { spec: spec.clone(), ..PullRequest::default() }).await;
    pulled.map_err(PodError::step("pulling the pause image", id))?;
    images.prepare(&spec).await.map_err(PodError::step("preparing the pause image", id))
}

fn record(
    context: &Context,
    pod: &SandboxRecord,
    id: &ContainerId,
    image: &crio_images::ResolvedImage,
    cgroup: &Placement,
) -> ContainerRecord {
    let metadata = &pod.config.metadata;
    let labels = [("io.kubernetes.container.name".to_owned(), NAME.to_owned())].into();
    let config = ContainerConfig {
        metadata: ContainerMetadata { name: NAME.to_owned(), attempt: metadata.attempt },
        image: ImageSpec { image: image.name.clone(), ..ImageSpec::default() },
        labels,
        ..ContainerConfig::default()
    };
    ContainerRecord {
        name: format!("k8s_{NAME}_{}_{}_{}_{}", metadata.name, metadata.namespace, metadata.uid, metadata.attempt),
        log_path: pod.log_directory.join(format!("{id}.log")),
        cgroup: cgroup.path.as_str().to_owned(),
        bundle: context.engines.store.container_run_dir(id),
        stop_signal: Signal::KILL,
        // It is the first process of the shared namespace, so its end takes all others with it.
        shares_pids: false,
        ..ContainerRecord::planned(id.clone(), pod.id.clone(), config, image)
    }
}
