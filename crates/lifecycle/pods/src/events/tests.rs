//! Subscribers that keep up, and subscribers that do not.

use crio_types::{
    ContainerId, ContainerMetadata, ContainerState, ImageId, ImageSpec, NamespaceOptions, Resources, SandboxMetadata,
    SandboxState, Signal,
};

use super::*;

fn sandbox(number: u8, state: SandboxState) -> Arc<SandboxStatus> {
    Arc::new(SandboxStatus {
        id: SandboxId::from_bytes([number; 32]),
        metadata: SandboxMetadata { uid: format!("uid-{number}"), ..SandboxMetadata::default() },
        state,
        created_at: Timestamp(1),
        ips: Vec::new(),
        namespaces: NamespaceOptions::default(),
        labels: Default::default(),
        annotations: Default::default(),
        runtime_handler: String::new(),
    })
}

fn container(number: u8, sandbox: u8, state: ContainerState) -> Arc<ContainerStatus> {
    Arc::new(ContainerStatus {
        id: ContainerId::from_bytes([number; 32]),
        sandbox_id: SandboxId::from_bytes([sandbox; 32]),
        metadata: ContainerMetadata::default(),
        state,
        created_at: Timestamp(1),
        started_at: Timestamp::NEVER,
        finished_at: Timestamp::NEVER,
        exit_code: 0,
        reason: None,
        message: String::new(),
        image: ImageSpec::default(),
        image_ref: String::new(),
        image_id: ImageId::from_bytes([0; 32]),
        labels: Default::default(),
        annotations: Default::default(),
        mounts: Vec::new(),
        log_path: String::new(),
        resources: Resources::default(),
        user: None,
        stop_signal: Signal::TERM,
    })
}

fn pod(number: u8, state: SandboxState, containers: &[(u8, ContainerState)]) -> PodState {
    let containers = containers.iter().map(|(id, state)| container(*id, number, *state)).collect();
    PodState { sandbox: sandbox(number, state), containers }
}

/// What there is, for a look at it.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Vec<PodState>>>);

impl World {
    fn is(&self, pods: &[PodState]) {
        *lock(&self.0) = pods.to_vec();
    }

    fn look(&self) -> Look {
        let pods = Arc::clone(&self.0);
        Arc::new(move || lock(&pods).clone())
    }
}

fn send(events: &Events, pod: &PodState, id: &str, kind: EventKind) {
    events.publish(|created_at| ContainerEvent {
        container_id: id.to_owned(),
        kind,
        created_at,
        sandbox: Arc::clone(&pod.sandbox),
        containers: pod.containers.clone(),
    });
}

fn id(number: u8) -> String {
    SandboxId::from_bytes([number; 32]).to_string()
}

async fn told(stream: &mut EventStream, count: usize) -> Vec<(String, EventKind)> {
    let (mut told, mut before) = (Vec::new(), Timestamp::NEVER);
    for _ in 0..count {
        let event = stream.next().await.expect("it goes on");
        assert!(event.created_at > before, "times grow");
        before = event.created_at;
        told.push((event.container_id.clone(), event.kind));
    }
    assert!(stream.pending.is_empty() && stream.receiver.is_empty(), "no more");
    told
}

#[tokio::test]
async fn who_keeps_up_hears_everything_once() {
    let (events, world) = (Arc::new(Events::new()), World::default());
    let mut stream = events.subscribe(world.look()).expect("room");
    let web = pod(1, SandboxState::Ready, &[(9, ContainerState::Running)]);
    for kind in [EventKind::Created, EventKind::Started] {
        send(&events, &web, &id(1), kind);
    }
    send(&events, &web, &id(9), EventKind::Started);
    let expected = [(id(1), EventKind::Created), (id(1), EventKind::Started), (id(9), EventKind::Started)];
    assert_eq!(told(&mut stream, 3).await, expected);
}

#[tokio::test]
async fn who_falls_behind_is_told_the_state_and_what_is_gone() {
    let (events, world) = (Arc::new(Events::with_backlog(4)), World::default());
    let gone = pod(1, SandboxState::Ready, &[(11, ContainerState::Running)]);
    let changed = pod(2, SandboxState::Ready, &[(21, ContainerState::Running), (22, ContainerState::Running)]);
    world.is(&[gone, changed.clone()]);
    let mut stream = events.subscribe(world.look()).expect("room");
    let mut other = events.subscribe(world.look()).expect("room");
    send(&events, &changed, &id(22), EventKind::Started);
    assert_eq!(told(&mut other, 1).await.len(), 1);

    let after = pod(2, SandboxState::NotReady, &[(21, ContainerState::Exited), (23, ContainerState::Created)]);
    let new = pod(3, SandboxState::Ready, &[(31, ContainerState::Running)]);
    world.is(&[after, new.clone()]);
    for _ in 0..100 {
        send(&events, &new, &id(31), EventKind::Started);
    }
    use EventKind::{Created, Deleted, Started, Stopped};
    let expected = [
        (id(11), Deleted),
        (id(1), Deleted),
        (id(22), Deleted),
        (id(21), Stopped),
        (id(23), Created),
        (id(2), Stopped),
        (id(3), Started),
        (id(31), Started),
    ];
    for stream in [&mut stream, &mut other] {
        assert_eq!(told(stream, expected.len()).await, expected);
    }
    // It goes on from there, and knows now what it was told.
    send(&events, &new, &id(31), Stopped);
    assert_eq!(told(&mut stream, 1).await, [(id(31), Stopped)]);
    world.is(&[]);
    for _ in 0..100 {
        send(&events, &new, &id(31), Started);
    }
    let expected = [(id(21), Deleted), (id(23), Deleted), (id(2), Deleted), (id(31), Deleted), (id(3), Deleted)];
    assert_eq!(told(&mut stream, expected.len()).await, expected);
}

#[tokio::test]
async fn a_client_that_never_reads_holds_nobody_up() {
    let (events, world) = (Arc::new(Events::new()), World::default());
    let _idle = events.subscribe(world.look()).expect("room");
    let web = pod(1, SandboxState::Ready, &[]);
    let started = std::time::Instant::now();
    for _ in 0..100 * BACKLOG {
        send(&events, &web, &id(1), EventKind::Started);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(events.sender.len() <= BACKLOG.next_power_of_two());
}

#[tokio::test]
async fn subscriptions_have_a_limit_and_an_end() {
    let (events, world) = (Arc::new(Events::new()), World::default());
    let mut streams: Vec<EventStream> =
        (0..SUBSCRIBERS_MAX).map(|_| events.subscribe(world.look()).expect("room")).collect();
    assert!(matches!(events.subscribe(world.look()), Err(PodError::LimitReached { .. })));
    drop(streams.pop());
    let mut last = events.subscribe(world.look()).expect("who leaves makes room");
    events.end();
    assert!(last.next().await.is_none());
}

#[test]
fn times_grow_although_the_clock_does_not() {
    let ahead = Timestamp(Timestamp::now().0 + 1_000_000_000_000);
    let mut last = ahead;
    assert_eq!(next_time(&mut last), Timestamp(ahead.0 + 1));
    assert_eq!(next_time(&mut last), Timestamp(ahead.0 + 2));
    let mut last = Timestamp::NEVER;
    assert!(next_time(&mut last) > Timestamp(1_000_000_000_000_000_000));
}
