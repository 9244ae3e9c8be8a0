#pragma once

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/export.h>
#include <natgrad/linalg/parameters.h>

#include <vector>

namespace natgrad {

/// @file
/// Explicit diagonal blocks of curvature matrices, C_bb of [n_b, n_b] for each block b of the
/// parameters (Martens, "New perspectives", section 7): for solvers of one's own, block by block
/// preconditioners, and to look at. A block's parameters are in the order of the layout.

/// The number of each parameter's block, as the functions below and `block_diagonal` take them: one
/// for each tensor.
NATGRAD_EXPORT std::vector<int64_t> blocks_by_parameter(const ParameterLayout& parameters);
/// One for each layer: its weight and bias share a block, and layers that share a parameter (tied
/// weights) are one. A parameter that is not in a layer has its own. Throws if the loss cannot be
/// read.
NATGRAD_EXPORT std::vector<int64_t> blocks_by_layer(const LossGraph& graph);

/// The blocks of `empirical_fisher`, exactly: R_bᵀR_b of each example's gradient as a row of R.
/// Costs the gradients of all examples, [N, P], and N Σ n_b² multiply-adds. Throws as
/// `empirical_fisher_rows` does.
NATGRAD_EXPORT std::vector<torch::Tensor> empirical_fisher_blocks(
    const LossGraph& graph, const std::vector<int64_t>& blocks, Moment moment = Moment::Uncentred,
    FisherWeights weights = FisherWeights::OfTheLoss);

/// What an estimate of the Fisher matrix's blocks draws for each example.
enum class BlockProbes {
  Signs,  ///< √s B r, r of random signs, F_R = B Bᵀ (Martens, Sutskever & Swersky 2012)
  Targets  ///< √s ∇_z log r(y|z), y ~ r(·|z) (Schraudolph 2002): the blocks of `monte_carlo_fisher`
};

/// Unbiased estimates of the blocks of the Fisher matrix, the mean over k draws u of
///
///     Σᵢ γ_ib γ_ibᵀ,  γ_ib = J_ibᵀ uᵢ,
///
/// positive semi-definite, of rank at most k N. With `Signs` entry (p, q) of one draw has the
/// variance Σᵢ ‖a‖²‖b‖² + (a·b)² - 2 Σₖ aₖ²bₖ², a and b the columns p and q of √s BᵀJᵢ: none where
/// an example has one output, and at most 2 Σᵢ ‖a‖²‖b‖²; with `Targets` more.
///
/// A draw costs two backward passes for parameters of layers (see `per_example_gradients`), [N, P]
/// numbers and N Σ n_b² multiply-adds. Throws for `probes` < 1, negative weights, and as `fisher`
/// and `per_example_gradients` do.
NATGRAD_EXPORT std::vector<torch::Tensor> estimated_fisher_blocks(
    const LossGraph& graph, const std::vector<int64_t>& blocks, int64_t probes,
    at::Generator generator, BlockProbes draw = BlockProbes::Signs,
    FisherWeights weights = FisherWeights::OfTheLoss);

/// The matrix of these blocks, zero elsewhere. It knows the inverse of itself and its shifts, by
/// Cholesky factors that are made anew for each shift. Throws for shapes that are not the blocks'.
NATGRAD_EXPORT LinearOperator from_blocks(const ParameterLayout& parameters,
                                          const std::vector<int64_t>& blocks,
                                          std::vector<torch::Tensor> matrices);

}  // namespace natgrad
