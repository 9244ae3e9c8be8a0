#pragma once

#include "detail.h"

#include "graph/layers.h"

namespace natgrad::detail {

/// What a layer's weight gradient is made of: ∂h/∂W = Σ_{m,l} left_ml ⊗ right_ml in each group,
/// laid out as W is. One factor is made of activations, the other of δ; which is which depends on
/// how W lies in memory.
struct WeightFactors {
  torch::Tensor left;   ///< [M, groups, positions, R]
  torch::Tensor right;  ///< [M, groups, positions, C], with groups·R·C numbers in W
};

/// The factors of a layer that has a weight of the given shape, given δ = ∂h/∂s. The patches of a
/// convolution's input are copied: M · in · (kernel size) · positions numbers.
WeightFactors weight_factors(const Layer& layer, const torch::Tensor& delta,
                             torch::IntArrayRef weight_shape);

/// Σ δ over positions for each row, of a Scale Σ δ ∘ a, [M, numbers in b], given δ.
torch::Tensor bias_rows(const Layer& layer, const torch::Tensor& gradient,
                        torch::IntArrayRef bias_shape);

}  // namespace natgrad::detail
