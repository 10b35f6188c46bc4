//! Schedules against Keras, step by step.

use super::*;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("keras_fixtures.json")).unwrap()
}

#[test]
fn fifty_steps_are_those_of_keras() {
    let cases = cases();
    assert!(cases.len() >= 16);
    for case in cases {
        let schedule = Schedule::from_keras(&case["schedule"]).unwrap();
        for (step, bits) in case["bits"].as_array().unwrap().iter().enumerate() {
            let want = f32::from_bits(bits.as_u64().unwrap() as u32);
            let got = schedule.learning_rate(step as u64);
            // The end of a cosine is a difference of near numbers.
            let near = (got - want).abs() <= 1e-6 * want.abs() + 1e-9;
            assert!(near, "{schedule:?}: step {step} is {got:e}, not {want:e}");
        }
    }
}

#[test]
fn what_is_written_is_what_keras_writes() {
    for case in cases() {
        let schedule = Schedule::from_keras(&case["schedule"]).unwrap();
        assert_eq!(schedule.to_keras(), case["schedule"]);
        assert_eq!(Schedule::from_keras(&schedule.to_keras()), Ok(schedule));
    }
}

#[test]
fn options_have_the_defaults_of_keras() {
    for (class, config) in [
        (
            "ExponentialDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9}),
        ),
        ("PolynomialDecay", json!({"initial_learning_rate": 0.1, "decay_steps": 20})),
        ("CosineDecay", json!({"initial_learning_rate": 0.1, "decay_steps": 30})),
        ("CosineDecayRestarts", json!({"initial_learning_rate": 0.1, "first_decay_steps": 6})),
    ] {
        let bare = Schedule::from_keras(&json!({"class_name": class, "config": config})).unwrap();
        let written = bare.to_keras();
        assert!(cases().iter().any(|case| case["schedule"] == written), "{written}");
    }
}

fn refusal(value: Value) -> String {
    Schedule::from_keras(&value).unwrap_err().to_string()
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    let with = |class: &str, config: Value| refusal(json!({"class_name": class, "config": config}));
    assert_eq!(
        with("MyDecay", json!({})),
        format!("learning-rate schedule 'MyDecay' is not supported; supported are {KNOWN}")
    );
    let base = json!({"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9});
    let plus = |option: &str, value: Value| {
        let mut config = base.clone();
        config[option] = value;
        with("ExponentialDecay", config)
    };
    assert!(plus("power", json!(2)).contains("ExponentialDecay has no option 'power'"));
    assert!(plus("decay_steps", json!(0)).contains("'decay_steps' of ExponentialDecay is 0.0"));
    assert!(plus("decay_rate", json!("fast")).contains("supported is a number"));
    assert!(
        with("ExponentialDecay", json!({})).contains("needs the option 'initial_learning_rate'")
    );
    assert!(refusal(json!(0.1)).contains("neither a name nor an object"));
    let piecewise = |boundaries: Value, values: Value| {
        with("PiecewiseConstantDecay", json!({"boundaries": boundaries, "values": values}))
    };
    assert!(piecewise(json!([1, 2]), json!([0.1])).contains("one value more"));
    assert!(piecewise(json!([]), json!([0.1])).contains("one step or more"));
}
