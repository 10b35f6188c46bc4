//! What the Graph is told for training alone: regularizers, constraints, and what is not followed.

use super::Lowering;
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Call, LoweredTensor, VariableSpec, regularizer};
use crate::graph::{DType, VariableId, VariableKind};

/// Layers that give their `activity_regularizer` to layers within instead of heeding it themselves.
const HAND_ON: [&str; 1] = ["MultiHeadAttention"];

impl Lowering {
    /// Gives a Variable its regularizer and its constraint; one that is not trained has neither in
    /// Keras.
    pub(super) fn regularize(&mut self, layer: &str, id: VariableId, spec: &VariableSpec) {
        if self.graph.variable(id).kind != VariableKind::Parameter {
            return;
        }
        let weight = &spec.weight;
        self.graph.set_regularizer(id, weight.regularizer);
        if let Some(reason) = &weight.untrainable {
            self.graph.add_untrainable(layer, reason);
        }
        if let Some(saved) = &weight.constraint {
            let constraint = saved.of_rank(spec.shape.len());
            if constraint.is_none() {
                let reason = format!("the constraint of `{}` has axes that it lacks", spec.name);
                self.graph.add_untrainable(layer, reason);
            }
            self.graph.set_constraint(id, constraint);
        }
    }

    /// Notes what training adds to the loss for the outputs of a call of a layer.
    pub(super) fn penalize(
        &mut self,
        path: &str,
        layer: &LayerConfig,
        outputs: &[LoweredTensor],
    ) -> Result<(), FormatError> {
        let option = "activity_regularizer";
        match regularizer(option, layer.raw_options().get(option)) {
            Ok(None) => Ok(()),
            Ok(Some(_)) if HAND_ON.contains(&layer.class_name.as_str()) => Ok(()),
            Ok(Some(regularizer)) => {
                let mut call = Call::new(&mut self.graph, path, Vec::new(), Vec::new(), &[]);
                let values = outputs.iter().map(|output| output.value);
                let numbers = values.filter(|value| call.ty(*value).dtype != DType::Str);
                let numbers: Vec<_> = numbers.collect();
                call.penalize(path, regularizer, &numbers)
            }
            Err(reason) => {
                self.graph.add_untrainable(path, reason);
                Ok(())
            }
        }
    }
}
