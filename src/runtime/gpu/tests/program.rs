use super::*;

/// A program that doubles `count` words in place, and the weights it needs none of.
fn doubling(device: &Arc<GpuDevice>, count: u32) -> Program {
    let weights = WeightsBuilder::new(device).finish(device).unwrap();
    let mut recorder = Recorder::new(device);
    let shader = Shader::new(
        "double",
        &["struct Params { row_width: u32, count: u32 }
           @compute @workgroup_size(64)
           fn main(
               @builtin(workgroup_id) group: vec3<u32>,
               @builtin(local_invocation_index) lane: u32,
           ) {
               let i = (group.y * p.row_width + group.x) * 64u + lane;
               if i < p.count { arena[i] = bits(2.0 * float(arena[i])); }
           }"],
    );
    let call = Dispatch::new(shader, Parameters::new().word(count), count.div_ceil(64).into());
    recorder.dispatch("double", call.touching(0, count.into())).unwrap();
    Program::new(Arc::clone(device), weights, recorder.finish()).unwrap()
}

fn run_doubling(program: &mut Program, workspace: &mut Workspace, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0f32; x.len()];
    let inputs = [Upload { offset: 0, bytes: bytemuck::cast_slice(x) }];
    let mut outputs = [Output { offset: 0, bytes: bytemuck::cast_slice_mut(&mut y) }];
    program.run(workspace, &inputs, &mut outputs).unwrap();
    y
}

#[test]
fn programs_of_different_sizes_share_a_workspace() {
    let Some(device) = device(false) else { return };
    let mut workspace = Workspace::new();
    let mut programs = [doubling(&device, 3), doubling(&device, 5000), doubling(&device, 70)];
    for round in 1..=3 {
        for program in &mut programs {
            let count = program.calls().arena_words() as usize;
            let x: Vec<f32> = (0..count).map(|i| (i * round) as f32).collect();
            let expected: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
            assert_eq!(run_doubling(program, &mut workspace, &x), expected);
        }
    }
}

#[test]
fn runs_repeat_to_the_bit() {
    let Some(device) = device(false) else { return };
    let (rows, inner, columns) = (70, 130, 90);
    let mut builder = WeightsBuilder::new(&device);
    let kernel = Numbers(1).take((inner * columns) as usize, 1.0);
    let refs = builder.push("kernel", &[&kernel]).unwrap();
    let weights = builder.finish(&device).unwrap();
    let mut layout = Layout::default();
    let a = layout.input(&Numbers(2).take((rows * inner) as usize, 1.0));
    let c = layout.region((rows * columns) as usize);
    let bits = || {
        let mut recorder = Recorder::new(&device);
        recorder.matmul("m", &MatMul::dense(rows, inner, columns, a, refs[0], c)).unwrap();
        let results = [(c, (rows * columns) as usize)];
        let found = run(&device, &weights, recorder.finish(), &layout, &results).unwrap();
        found[0].iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(), bits());
}

#[test]
fn a_run_of_nothing_reads_back_what_was_uploaded() {
    let Some(device) = device(false) else { return };
    let weights = WeightsBuilder::new(&device).finish(&device).unwrap();
    let mut layout = Layout::default();
    let at = layout.input(&[1.0f32, 2.0, 3.0]);
    let found = run(&device, &weights, Calls::default(), &layout, &[(at, 3), (at, 0)]).unwrap();
    assert_eq!(found, [vec![1.0, 2.0, 3.0], vec![]]);
}

#[test]
fn weights_above_a_binding_take_several_buffers() {
    let Some(device) = device(false) else { return };
    let mut builder = WeightsBuilder::new(&device);
    builder.limit = 256;
    let kernels: Vec<Vec<f32>> = (1..=3).map(|seed| Numbers(seed).take(100, 1.0)).collect();
    let refs: Vec<_> =
        kernels.iter().map(|kernel| builder.push("kernel", &[kernel]).unwrap()[0]).collect();
    assert!(refs[2].buffer > refs[0].buffer, "{refs:?}");
    let too_large = builder.push("table", &[&[0.0; 257]]);
    assert!(matches!(too_large, Err(GpuError::Limit { .. })), "{too_large:?}");
    let weights = builder.finish(&device).unwrap();
    let mut layout = Layout::default();
    let a = layout.input(&[1.0f32; 10]);
    for (kernel, weight) in kernels.iter().zip(refs) {
        let c = layout.region(10);
        let mut recorder = Recorder::new(&device);
        recorder.matmul("dense", &MatMul::dense(1, 10, 10, a, weight, c)).unwrap();
        let found = run(&device, &weights, recorder.finish(), &layout, &[(c, 10)]).unwrap();
        let expected = reference::matmul(&[1.0; 10], kernel, None, [1, 10, 10]);
        assert_close("dense", &found[0], &expected);
    }
}

#[test]
fn bytes_that_are_no_whole_words_are_refused() {
    let Some(device) = device(false) else { return };
    let mut program = doubling(&device, 3);
    let inputs = [Upload { offset: 0, bytes: &[0; 3] }];
    let result = program.run(&mut Workspace::new(), &inputs, &mut []);
    assert!(matches!(result, Err(GpuError::Arguments { .. })), "{result:?}");
}

#[test]
fn sessions_of_several_threads_share_a_device() {
    let Some(device) = device(false) else { return };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let device = &device;
            scope.spawn(move || {
                let mut program = doubling(device, 100);
                let mut workspace = Workspace::new();
                for round in 0..200 {
                    let x = Numbers(thread * 1000 + round).take(100, 1.0);
                    let expected: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
                    assert_eq!(run_doubling(&mut program, &mut workspace, &x), expected);
                }
            });
        }
    });
}

/// Counts `rounds` rounds of two loops in each of 4 threads.
fn counting(device: &Arc<GpuDevice>, rounds: u32) -> Result<Vec<f32>, GpuError> {
    let shader = Shader::new(
        "count",
        &["struct Params { row_width: u32, rounds: u32 }
           @compute @workgroup_size(4)
           fn main(@builtin(local_invocation_index) lane: u32) {
               var count = 0u;
               for (var i = 0u; i < p.rounds / 100u; i++) {
                   for (var k = 0u; k < 99u; k++) { count = (count + arena[4u + (i + k) % 2u]); }
               }
               arena[lane] = count;
           }"],
    );
    let mut recorder = Recorder::new(device);
    let call = Dispatch::new(shader, Parameters::new().word(rounds), 1);
    recorder.dispatch("count", call.touching(0, 6).rounds(rounds.into()))?;
    let weights = WeightsBuilder::new(device).finish(device)?;
    let mut layout = Layout::default();
    layout.region(3);
    layout.inputs.push((4, bytemuck::cast_slice(&[1u32, 1]).to_vec()));
    Ok(run(device, &weights, recorder.finish(), &layout, &[(0, 4)])?.remove(0))
}

#[test]
fn loops_run_to_their_end_or_are_refused() {
    let Some(device) = device(false) else { return };
    for rounds in [100, 10_000, 60_000, 1_000_000] {
        match counting(&device, rounds) {
            Ok(counts) => {
                let expected = rounds / 100 * 99;
                assert!(counts.iter().all(|count| count.to_bits() == expected), "{counts:?}");
            }
            Err(GpuError::Limit { .. }) => assert!(u64::from(rounds) > device.max_rounds()),
            Err(error) => panic!("{error}"),
        }
    }
}
