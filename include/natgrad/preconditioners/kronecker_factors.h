#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/linalg/parameters.h>
#include <torch/arg.h>

#include <optional>
#include <vector>

namespace natgrad {

/// The block A ⊗ G of a weight matrix and, where its layers have one, of their bias: the matrix
///
///     V ↦ G V A,  V = [∂W, ∂b] of [out, in + 1].
///
/// A convolution of g groups has g such blocks, one behind the other.
struct NATGRAD_EXPORT KroneckerBlock {
  size_t weight = 0;                ///< which of the parameters
  std::optional<size_t> bias;       ///< the homogeneous coordinate, last in A
  bool is_input_by_output = false;  ///< W lies in memory as [in, out]
  torch::Tensor activations;        ///< A, [groups, in (+ 1), in (+ 1)]
  torch::Tensor gradients;          ///< G, [groups, out, out]
};

/// A block-diagonal matrix on parameter space: blocks, and a diagonal for all other parameters.
struct NATGRAD_EXPORT KroneckerFactors {
  std::vector<KroneckerBlock> blocks;  ///< one a weight, or a group of it
  torch::Tensor diagonal;              ///< [P]; of no meaning where a block is
};

/// How `kronecker_factors` estimates.
struct NATGRAD_EXPORT KroneckerOptions {
  /// Draws of the output noise, a backward pass each.
  TORCH_ARG(int64_t, samples) = 1;
  /// The share of each layer's rows, chosen at random, that enters the factors, in (0, 1].
  TORCH_ARG(double, share) = 1;
  /// A weight with a larger factor than this is left to the diagonal.
  TORCH_ARG(int64_t, largest) = 8192;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;
};

/// The Fisher matrix of the model's own distribution in Kronecker-factored form (Martens & Grosse
/// 2015, section 3; Grosse & Martens 2016, section 3), with activations a and δ = ∂/∂s at the
/// output of each linear and convolutional layer that the graph holds:
///
///     F_W ≈ A ⊗ G,  A = mean of a aᵀ,  G = sum of δ δᵀ,
///
/// over the layer's rows (examples, time steps) and positions. δ is drawn, not the training
/// gradient: √s B r with random signs r, pulled back (`output_noise`). So G is unbiased with no
/// target drawn, and is normalised as the loss; A and G are independent where E[a aᵀ δ δᵀ] factors,
/// and rows and positions are taken as uncorrelated (in Grosse & Martens' Ω ⊗ Γ the number of
/// positions stands in the other factor). Examples of unequal weight count alike in A.
///
/// A weight that several layers use (a recurrent net) has one block, with the rows of all of them.
/// The diagonal takes what is no such weight: parameters that no layer covers, a weight that is
/// used as W here and as Wᵀ there, biases of no weight, of several weights, or of a transposed
/// convolution. It is that of F, estimated from the same noise: (Σ √s Jᵀ B r)².
///
/// A model whose layers the graph hides, as a scripted module's does from its second call on, is
/// left with the diagonal; `StepSummary::degradations` says so.
///
/// Costs a walk over the graph, `samples` backward passes without weight gradients, and for M rows
/// M (in² + out²) operations a layer. Throws `c10::Error` as `fisher` does, for negative weights,
/// and for options out of range.
NATGRAD_EXPORT KroneckerFactors kronecker_factors(const LossGraph& graph, at::Generator generator,
                                                  const KroneckerOptions& options = {});

/// The matrix that the factors stand for.
NATGRAD_EXPORT LinearOperator kronecker_product(const KroneckerFactors& factors,
                                                const ParameterLayout& parameters);

/// The factors of the damped inverse (Martens & Grosse 2015, section 6.3), of each block
///
///     (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹,  π = √((tr A/dim A)/(tr G/dim G)),
///
/// and 1/(d + λ). Where A or G is zero, so is F, and the block is I/λ. By Cholesky factorisation
/// in the parameters' dtype; in double by eigenvalues where rounding has made that impossible.
/// Costs (in³ + out³) operations a block. λ > 0.
NATGRAD_EXPORT KroneckerFactors damped_inverse(const KroneckerFactors& factors, double lambda);

}  // namespace natgrad
