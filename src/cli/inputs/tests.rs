//! Files and texts as the inputs of models that are built in memory.

use super::*;
use crate::graph::Data;

fn graph(inputs: &[(&str, DType, &[Option<usize>])]) -> Graph {
    let mut graph = Graph::new("inputs");
    for (name, dtype, row) in inputs {
        let mut dims = vec![Dim::symbol("batch")];
        dims.extend(row.iter().enumerate().map(|(index, size)| match size {
            Some(size) => Dim::Known(*size),
            None => Dim::symbol(&format!("{name}_{index}")),
        }));
        graph.add_input(*name, TensorType::new(*dtype, dims)).unwrap();
    }
    graph
}

fn read_as(name: &str, content: &[u8], graph: &Graph) -> Result<Tensors, CliError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    read(&path, graph)
}

fn refusal(name: &str, content: &str, graph: &Graph) -> String {
    let error = read_as(name, content.as_bytes(), graph).unwrap_err();
    assert!(error.exit() == 1 || error.exit() == 2);
    error.text()
}

fn ids() -> Graph {
    graph(&[("tokens", DType::I32, &[None])])
}

fn text() -> Graph {
    graph(&[("texts", DType::Str, &[Some(1)])])
}

fn two() -> Graph {
    graph(&[("a", DType::F32, &[Some(2)]), ("b", DType::Str, &[])])
}

#[test]
fn rows_of_a_csv_are_examples_with_or_without_a_header() {
    let expected = Tensor::new([2, 3], vec![1, 2, 3, 4, 5, 6]).unwrap();
    for content in ["1,2,3\n4,5,6\n", "first,second,third\n1,2,3\n4, 5 ,6"] {
        let read = read_as("x.csv", content.as_bytes(), &ids()).unwrap();
        assert_eq!(read.get("tokens"), Some(&expected), "{content}");
    }
    let read = read_as("x.tsv", b"tokens[0]\ttokens[1]\ttokens[2]\n1\t2\t3\n4\t5\t6\n", &ids());
    assert_eq!(read.unwrap().get("tokens"), Some(&expected));
    let grid = graph(&[("x", DType::F32, &[None, Some(2)])]);
    let read = read_as("x.csv", b"1,2.5,-3e1,4\n", &grid).unwrap();
    assert_eq!(read.get("x"), Some(&Tensor::new([1, 2, 2], vec![1.0, 2.5, -30.0, 4.0]).unwrap()));
}

#[test]
fn a_column_of_text_is_found_by_its_name_or_alone() {
    let expected: Tensor = ["a, b", "c"].as_slice().into();
    let expected = expected.reshaped([2, 1]).unwrap();
    let files = ["\"a, b\"\nc\n", "texts\n\"a, b\"\nc\n", "label,text\n1,\"a, b\"\n0,c\n"];
    for content in files {
        let read = read_as("x.csv", content.as_bytes(), &text()).unwrap();
        assert_eq!(read.get("texts"), Some(&expected), "{content}");
    }
    assert!(refusal("x.csv", "a film, not bad\n", &text()).contains("quote"));
}

#[test]
fn several_inputs_are_told_apart_by_the_header_or_keys() {
    let a = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]).unwrap();
    let b: Tensor = ["x", "y"].as_slice().into();
    let lines = "{\"a\": [1, 2], \"b\": \"x\"}\n\n{\"b\": \"y\", \"a\": [3, 4.0]}\n";
    for (name, content) in [("x.csv", "a,a,b\n1,2,x\n3,4,y\n"), ("x.jsonl", lines)] {
        let read = read_as(name, content.as_bytes(), &two()).unwrap();
        assert_eq!((read.get("a"), read.get("b")), (Some(&a), Some(&b)), "{name}");
    }
    assert!(refusal("x.csv", "1,2,x\n", &two()).contains("first row"));
    assert!(refusal("x.csv", "a,a,c\n1,2,x\n", &two()).contains("column `c`"));
    assert!(refusal("x.csv", "a,a\n1,2\n", &two()).contains("no column `b`"));
    assert!(refusal("x.jsonl", "{\"a\": [1, 2]}", &two()).contains("no key `b`"));
    assert!(refusal("x.jsonl", "[1, 2]", &two()).contains("object"));
    assert!(refusal("x.jsonl", "{\"c\": 1}", &two()).contains("key `c`"));
}

#[test]
fn lines_of_json_may_be_bare_values() {
    let read = read_as("x.jsonl", b"[1, 2]\n[3, 4]\n", &ids()).unwrap();
    assert_eq!(read.get("tokens"), Some(&Tensor::new([2, 2], vec![1, 2, 3, 4]).unwrap()));
    let read = read_as("x.jsonl", b"\"a\"\n\"b\"\n", &text()).unwrap();
    assert_eq!(read.get("texts").unwrap().shape(), [2, 1]);
}

#[test]
fn what_does_not_fit_is_refused_with_its_line() {
    assert!(refusal("x.csv", "1,2\n3,4,5\n", &ids()).contains("line 2: input `tokens` has shape"));
    assert!(refusal("x.csv", "1,2\n3,x\n", &ids()).contains("takes an integer of 32 bits"));
    assert!(refusal("x.csv", "1,3000000000\n", &ids()).contains("3000000000"));
    assert!(refusal("x.csv", "", &ids()).contains("no rows"));
    assert!(refusal("x.jsonl", "[1, 2]\n[1.5]", &ids()).contains("line 2"));
    assert!(refusal("x.jsonl", "[[1], [2, 3]]", &ids()).contains("ragged"));
    assert!(refusal("x.jsonl", "[[1], 2]", &ids()).contains("ragged"));
    assert!(refusal("x.jsonl", "[1, 2", &ids()).contains("not valid JSON"));
    assert!(refusal("x.jsonl", "[null]", &ids()).contains("null"));
    assert!(refusal("x.txt", "1", &ids()).contains(".npz"));
    assert!(refusal("x.npz", "PK", &ids()).contains("zip archive"));
    assert!(refusal("x.npy", "", &two()).contains("x.npy"));
}

fn npz(arrays: &Tensors) -> Vec<u8> {
    npz::write_npz(arrays).unwrap()
}

#[test]
fn arrays_are_matched_by_name_or_in_the_order_of_the_file() {
    let a = Tensor::new([1, 2], vec![1.0f32, 2.0]).unwrap();
    let b: Tensor = ["x"].as_slice().into();
    let reversed = Tensors::new().with("b", b.clone()).with("a", a.clone());
    let others = Tensors::new().with("arr_0", a.clone()).with("arr_1", b.clone());
    let scheme = Tensors::new().with("out/0", a.clone()).with("in/b", b.clone());
    let scheme = scheme.with("in/a", a.clone());
    for arrays in [reversed, others, scheme] {
        let read = read_as("x.npz", &npz(&arrays), &two()).unwrap();
        assert_eq!((read.get("a"), read.get("b")), (Some(&a), Some(&b)), "{arrays:?}");
        assert_eq!(read.len(), 2);
    }
    let surplus = Tensors::new().with("a", a.clone()).with("b", b).with("y", a.clone());
    let error = read_as("x.npz", &npz(&surplus), &two()).unwrap_err().text();
    assert!(error.contains("array `y`"), "{error}");
    let few = Tensors::new().with("x", a);
    let error = read_as("x.npz", &npz(&few), &two()).unwrap_err().text();
    assert!(error.contains("`x`") && error.contains("`b`: string[batch]"), "{error}");
}

#[test]
fn texts_go_to_the_text_input_and_to_no_other() {
    let given = texts(vec!["a".to_owned(), "b".to_owned()], &text()).unwrap();
    assert_eq!(given.get("texts").unwrap().shape(), [2, 1]);
    let refused = texts(vec!["a".to_owned()], &ids()).unwrap_err();
    assert!(refused.text().contains("takes no text, but `tokens`"), "{}", refused.text());
    assert!(texts(vec!["a".to_owned()], &two()).unwrap_err().text().contains("one input"));
    assert!(texts(Vec::new(), &text()).unwrap_err().text().contains("no text"));
}

#[test]
fn a_last_dimension_of_one_is_added_or_dropped() {
    let flat = Tensors::new().with("texts", ["a", "b"]);
    let read = read_as("x.npz", &npz(&flat), &text()).unwrap();
    assert_eq!(read.get("texts").unwrap().shape(), [2, 1]);
    let scalar = graph(&[("x", DType::F32, &[])]);
    let column = Tensors::new().with("x", Tensor::zeros(DType::F32, [4, 1]));
    let read = read_as("x.npz", &npz(&column), &scalar).unwrap();
    assert_eq!(read.get("x").map(Tensor::data), Some(&Data::F32(vec![0.0; 4])));
}
