//! Sizes in files: a number, the name of a symbol, or an operation on two sizes: `{"add": ["batch", 1]}`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Dim, DimExpr};

/// A size as files spell it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Known(usize),
    Symbol(String),
    Expr(Box<Expression>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expression {
    Add(Form, Form),
    Sub(Form, Form),
    Mul(Form, Form),
    Div(Form, Form),
    Max(Form, Form),
    Min(Form, Form),
    Broadcast(Form, Form),
}

impl From<&Dim> for Form {
    fn from(dim: &Dim) -> Form {
        let expr = match dim {
            Dim::Known(size) => return Form::Known(*size),
            Dim::Symbol(symbol) => return Form::Symbol(symbol.name().to_owned()),
            Dim::Expr(expr) => expr,
        };
        Form::Expr(Box::new(match &**expr {
            DimExpr::Add(a, b) => Expression::Add(a.into(), b.into()),
            DimExpr::Sub(a, b) => Expression::Sub(a.into(), b.into()),
            DimExpr::Mul(a, b) => Expression::Mul(a.into(), b.into()),
            DimExpr::Div(a, b) => Expression::Div(a.into(), b.into()),
            DimExpr::Max(a, b) => Expression::Max(a.into(), b.into()),
            DimExpr::Min(a, b) => Expression::Min(a.into(), b.into()),
            DimExpr::Broadcast(a, b) => Expression::Broadcast(a.into(), b.into()),
        }))
    }
}

impl From<Form> for Dim {
    fn from(form: Form) -> Dim {
        let expr = match form {
            Form::Known(size) => return Dim::Known(size),
            Form::Symbol(name) => return Dim::symbol(&name),
            Form::Expr(expr) => *expr,
        };
        Dim::Expr(std::sync::Arc::new(match expr {
            Expression::Add(a, b) => DimExpr::Add(a.into(), b.into()),
            Expression::Sub(a, b) => DimExpr::Sub(a.into(), b.into()),
            Expression::Mul(a, b) => DimExpr::Mul(a.into(), b.into()),
            Expression::Div(a, b) => DimExpr::Div(a.into(), b.into()),
            Expression::Max(a, b) => DimExpr::Max(a.into(), b.into()),
            Expression::Min(a, b) => DimExpr::Min(a.into(), b.into()),
            Expression::Broadcast(a, b) => DimExpr::Broadcast(a.into(), b.into()),
        }))
    }
}

impl Serialize for Dim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Form::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Dim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dim, D::Error> {
        Form::deserialize(deserializer).map(Dim::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_back_as_they_were() {
        let batch = Dim::symbol("batch");
        let size = (batch.clone() + Dim::from(3)).maximum(&batch).div_floor(2);
        let text = serde_json::to_string(&[Dim::from(4), batch, size.clone()]).expect("JSON");
        let expected = r#"[4,"batch",{"div":[{"max":[{"add":["batch",3]},"batch"]},2]}]"#;
        assert_eq!(text, expected);
        let read: Vec<Dim> = serde_json::from_str(&text).expect("sizes");
        assert_eq!(read[2], size);
    }
}
