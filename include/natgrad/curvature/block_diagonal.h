#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>
#include <natgrad/linalg/parameters.h>

#include <vector>

namespace natgrad {

/// The diagonal blocks of C for a partition of the parameters, zero elsewhere: blocks[i] is the
/// number of parameter i's block. As many products with C as there are blocks, together.
NATGRAD_EXPORT LinearOperator block_diagonal(const LinearOperator& C,
                                             const ParameterLayout& parameters,
                                             const std::vector<int64_t>& blocks);

/// Another curvature's diagonal blocks, as an option of the optimizer (Martens, "New perspectives",
/// section 7; Le Roux et al. 2007): one block for each parameter, or for each group named here.
///
/// ```cpp
/// const auto blocks = natgrad::BlockDiagonal(natgrad::Fisher())
///                         .group(encoder->parameters())
///                         .group(decoder->parameters());
/// const auto options = natgrad::NaturalGradientOptions().curvature(blocks);
/// ```
class NATGRAD_EXPORT BlockDiagonal final : public Curvature {
 public:
  /// A block for each parameter, of this curvature.
  explicit BlockDiagonal(const Curvature& of) : of_(of.clone()) {}
  /// These parameters share a block. Throws if one of them is in a group already; `at` throws for
  /// one that is not the optimizer's, unless it is frozen.
  BlockDiagonal& group(std::vector<torch::Tensor> parameters);

  /// The trace is that of C, and so is the noise.
  CurvatureAt at(const LossGraph& graph) const override;
  bool needs_terms() const override { return of_->needs_terms(); }
  bool needs_penalties() const override { return of_->needs_penalties(); }
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;

 private:
  std::shared_ptr<const Curvature> of_;
  std::vector<std::vector<torch::Tensor>> groups_;
};

}  // namespace natgrad
