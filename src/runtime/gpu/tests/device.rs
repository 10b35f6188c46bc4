use super::*;

#[test]
fn listing_and_opening_agree() {
    let listed = GpuDevice::list();
    match GpuDevice::open(DevicePreference::Any) {
        Ok(device) => assert_eq!(Some(&device.info().name), listed.first().map(|info| &info.name)),
        Err(GpuError::NoAdapter { .. }) => assert!(listed.is_empty()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn hardware_is_listed_before_software() {
    let kinds: Vec<_> = GpuDevice::list().into_iter().map(|info| info.kind).collect();
    let first_software = kinds.iter().position(|&kind| kind == DeviceKind::Software);
    let last_hardware = kinds.iter().rposition(|&kind| kind != DeviceKind::Software);
    if let (Some(software), Some(hardware)) = (first_software, last_hardware) {
        assert!(hardware < software, "{kinds:?}");
    }
}

#[test]
fn an_adapter_that_is_not_there_is_named_in_the_error() {
    let wanted = DevicePreference::Named("no such adapter".to_owned());
    match GpuDevice::open(wanted) {
        Err(error @ GpuError::NoAdapter { .. }) => {
            assert!(error.to_string().contains("no such adapter"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_device_gives_errors_and_no_panic() {
    if device(false).is_none() {
        return;
    }
    let device = GpuDevice::open(DevicePreference::Any).unwrap();
    let mut weights = WeightsBuilder::new(&device);
    weights.push("a", &[&[1.0]]).unwrap();
    let weights = weights.finish(&device).unwrap();
    let mut recorder = Recorder::new(&device);
    recorder.activation("relu", ActivationKind::Relu.into(), 1, 0, 0).unwrap();
    let calls = recorder.finish();
    let mut program = Program::new(Arc::clone(&device), weights, calls).unwrap();
    let mut workspace = Workspace::new();
    let mut result = [0u8; 4];
    let mut run = |program: &mut Program| {
        let mut outputs = [Output { offset: 0, bytes: &mut result }];
        program.run(&mut workspace, &[], &mut outputs)
    };
    run(&mut program).unwrap();
    device.destroy();
    assert!(matches!(run(&mut program), Err(GpuError::Lost { .. })));
    assert!(matches!(
        Recorder::new(&device).activation("tanh", ActivationKind::Tanh.into(), 1, 0, 0),
        Err(GpuError::Lost { .. })
    ));
}

#[test]
fn what_is_larger_than_the_device_is_refused() {
    let Some(device) = device(false) else { return };
    let mut recorder = Recorder::new(&device);
    let huge = recorder.activation("relu", ActivationKind::Relu.into(), u32::MAX - 1, 8, 8);
    assert!(matches!(huge, Err(GpuError::Limit { .. })), "{huge:?}");
    let overflowing = Embedding {
        count: 1 << 20,
        width: 1 << 20,
        vocabulary: 2,
        table: WeightRef { buffer: 0, offset: 0, half: false },
        ids: 0,
        output: 0,
        mask: None,
    };
    let overflow = recorder.embedding("embedding", &overflowing);
    assert!(matches!(overflow, Err(GpuError::Limit { .. })), "{overflow:?}");
}

#[test]
fn an_arena_above_the_binding_limit_is_an_error_of_the_run() {
    let Some(device) = device(true) else { return };
    let weights = WeightsBuilder::new(&device).finish(&device).unwrap();
    let mut recorder = Recorder::new(&device);
    // 2^26 words are 256 MiB, twice WebGPU's default limit.
    recorder.activation("relu", ActivationKind::Relu.into(), 1 << 26, 0, 0).unwrap();
    let layout = Layout::default();
    let result = run(&device, &weights, recorder.finish(), &layout, &[]);
    assert!(matches!(result, Err(GpuError::Limit { .. })), "{result:?}");
}

#[test]
fn wgpu_errors_come_back_typed() {
    let Some(device) = device(false) else { return };
    let refused = device.scoped("make a buffer without a purpose", || {
        device.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE,
            mapped_at_creation: false,
        })
    });
    assert!(matches!(refused, Err(GpuError::Validation { .. })), "{refused:?}");
}
