//! What a Session promises, on Graphs built in memory.

mod common;

use common::memory::{classifier, ids};
use seqfuse::{DType, Options, RunError, Tensor, Tensors};

#[test]
fn the_fast_kernels_agree_with_the_reference_at_any_size() {
    let model = classifier();
    let mut fast = model.session(&Options::new()).expect("a session");
    let mut plain = model.session(&Options::new().reference(true)).expect("a session");
    for (batch, time) in [(1, 1), (2, 7), (9, 3), (3, 40), (0, 4), (2, 0)] {
        let (fast, plain) = (fast.run(&ids(batch, time)), plain.run(&ids(batch, time)));
        let (fast, plain) = (fast.expect("it runs"), plain.expect("it runs"));
        let (a, b) = (fast.get("dense").expect("dense"), plain.get("dense").expect("dense"));
        assert_eq!(a.shape(), [batch, 1]);
        let pairs = a.as_f32().expect("f32").iter().zip(b.as_f32().expect("f32"));
        pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} against {b}"));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let model = classifier();
    let inputs = ids(33, 21);
    let run = |threads| {
        let mut session = model.session(&Options::new().threads(threads)).expect("a session");
        session.run(&inputs).expect("it runs")
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

#[test]
fn wrong_inputs_are_refused_by_name() {
    let model = classifier();
    let mut session = model.session(&Options::new()).expect("a session");
    let run = |session: &mut seqfuse::Session, inputs: Tensors| {
        session.run(&inputs).expect_err("refused").to_string()
    };
    let text = run(&mut session, Tensors::new());
    assert_eq!(text, "input `ids` is missing; this model takes `ids`: i32[batch, time]");
    let text = run(&mut session, [("tokens", Tensor::zeros(DType::I32, [1, 2]))].into());
    assert!(text.starts_with("the model has no input `tokens`"), "{text}");
    let text = run(&mut session, [("ids", Tensor::zeros(DType::F32, [1, 2]))].into());
    assert_eq!(text, "input `ids` is f32, expected i32");
    let text = run(&mut session, [("ids", Tensor::zeros(DType::I32, [2]))].into());
    assert_eq!(text, "input `ids` has shape [2], expected i32[batch, time]");
    let high = Tensor::new([1, 2], vec![3, 20]).expect("the count fits");
    let error = session.run(&[("ids", high)].into()).expect_err("refused");
    assert!(
        matches!(error, RunError::TokenId { id: 20, position: 1, vocabulary: 20, .. }),
        "{error}"
    );
    let low = Tensor::new([1, 2], vec![-1, 3]).expect("the count fits");
    let error = session.run(&[("ids", low)].into()).expect_err("refused");
    assert!(matches!(error, RunError::TokenId { id: -1, position: 0, .. }), "{error}");
    session.run(&ids(1, 2)).expect("a Session runs again after an error");
}

#[test]
fn sessions_on_many_threads_share_one_model() {
    let model = classifier();
    let expected =
        model.session(&Options::new()).expect("a session").run(&ids(4, 9)).expect("runs");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut session = model.session(&Options::new().threads(2)).expect("a session");
                for _ in 0..20 {
                    assert_eq!(session.run(&ids(4, 9)).expect("it runs"), expected);
                }
            });
        }
    });
}
