#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace natgrad {

/// Outputs of several kinds side by side, independent of each other given z: a mean and a count,
/// say. z, [N, M, ...], is cut along dimension 1 into parts, each with a family of its own:
///
///     log r = Σ_parts log r_part,  score, F_R and B block by block.
///
/// <!-- snippet: prelude=mixed_outputs -->
/// ```cpp
/// using natgrad::likelihood_of;
/// const auto heads = std::make_shared<natgrad::IndependentProduct>(
///     z, std::vector<natgrad::IndependentProduct::Part>{
///            {2, likelihood_of<natgrad::Gaussian>(0.25)},
///            {1, likelihood_of<natgrad::Poisson>()}});
/// ```
///
/// An observation is an example with all its parts; log r: [N]. y: floating, the parts' targets
/// side by side along dimension 1, each with as many columns as its family's draws have: one for
/// the class indices of a `Categorical`. Whole numbers are converted for the families that take
/// them. -∇²log r = F_R for every y where it is so for all parts.
class NATGRAD_EXPORT IndependentProduct final : public Likelihood {
 public:
  /// Some columns of z, and their family.
  struct Part {
    /// Columns of z.
    int64_t outputs;
    /// The family of these columns, which it is given.
    std::function<std::shared_ptr<const Likelihood>(const torch::Tensor& z)> make;
  };

  /// Throws unless the parts' outputs are those of z, and every part has one target column or as
  /// many dimensions as z. Draws once from each part, by a copy of the default generator.
  IndependentProduct(torch::Tensor outputs, std::vector<Part> parts);

  std::string describe() const override;
  bool same_family(const Likelihood& other) const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override;
  int64_t outputs_per_observation() const override {
    return outputs().numel() / std::max<int64_t>(examples(), 1);
  }
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  struct Block {
    std::shared_ptr<const Likelihood> likelihood;
    int64_t first_output, outputs;
    int64_t first_target, targets;
    bool one_column;  // the family has no dimension of its own for its targets
    torch::ScalarType target_type;
  };

  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// The sum of the parts'.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  Block block(const Part& part, int64_t first_output, int64_t first_target) const;
  /// A block's columns of a tensor shaped like z.
  static torch::Tensor outputs_of(const Block& block, const torch::Tensor& t);
  /// A block's columns of y, as its family takes them.
  static torch::Tensor targets_of(const Block& block, const torch::Tensor& y);
  /// Throws as the block's family does, and says which columns of y it is about.
  static void check_part(const Block& block, const torch::Tensor& targets);
  /// The same as columns of y: the reverse.
  torch::Tensor as_columns(const Block& block, const torch::Tensor& targets) const;
  /// What `of` says of each block, side by side.
  torch::Tensor join(const std::function<torch::Tensor(const Block& block)>& of) const;

  std::vector<Block> blocks_;
};

/// Makes a `Family` of given outputs with these further arguments.
template <class Family, class... Arguments>
auto likelihood_of(Arguments... arguments) {
  return [=](const torch::Tensor& z) { return std::make_shared<const Family>(z, arguments...); };
}

}  // namespace natgrad
