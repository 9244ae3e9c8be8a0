#pragma once

// Losses as a user writes them, each with the same number in elementary operations and with what
// the library should read off its graph.

#include <torch/types.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace natgrad::testing {

using Outputs = std::vector<torch::Tensor>;

/// A family of output distributions, as the references know it.
struct Family {
  std::string name;  ///< that the library's description begins with
  /// Σ sᵢ F_R over all elements of z, [numel, numel], from the closed form.
  std::function<torch::Tensor(const torch::Tensor& z, const torch::Tensor& s)> fisher;
  bool hessian_is_fisher = true;
};
Family categorical();
Family bernoulli();
Family gaussian(double variance = 1);
Family poisson();
Family laplace();
Family huber(double delta, double scale = 1);

/// loss = Σ sᵢ·(-log r(yᵢ|zᵢ)) + const.
struct ExpectedTerm {
  size_t output;  ///< which z
  Family family;
  torch::Tensor weights;  ///< s, broadcastable to z
};

struct LossCase {
  std::string name;
  std::vector<std::vector<int64_t>> shapes;  ///< of the outputs; kExamples·kOutputs numbers in all
  std::function<torch::Tensor(const Outputs&)> loss;       ///< what the library is given
  std::function<torch::Tensor(const Outputs&)> reference;  ///< the same in elementary operations
  std::vector<ExpectedTerm> terms;  ///< empty where the loss is the user's own

  bool has_likelihood() const { return !terms.empty(); }
  /// Whether the Fisher matrix is the Hessian in z.
  bool hessian_is_fisher() const;
};

/// All of them; adding a loss is one entry.
const std::vector<LossCase>& losses();
/// Those of `losses` that are sums of likelihood terms only.
std::vector<LossCase> likelihood_losses();
/// Those of them whose Fisher matrix is the Gauss-Newton matrix.
std::vector<LossCase> matching_losses();
/// By name; throws if there is none.
const LossCase& loss_named(const std::string& name);

/// z of [kExamples, kOutputs] cut into the outputs that the loss takes.
Outputs split(const torch::Tensor& z, const LossCase& loss);
/// Leaves with the loss's shapes, moderate numbers, requiring a gradient.
Outputs leaf_outputs(const LossCase& loss, uint64_t seed);

/// Σ sᵢ F_R of one term over all elements of z, [numel, numel], from the closed form.
torch::Tensor closed_form_fisher(const ExpectedTerm& term, const torch::Tensor& z);
/// The same for all terms, over all outputs one after the other.
torch::Tensor closed_form_fisher(const LossCase& loss, const Outputs& z);

inline std::ostream& operator<<(std::ostream& out, const LossCase& loss) {
  return out << loss.name;
}

/// The names of cases, for INSTANTIATE_TEST_SUITE_P.
struct ByName {
  template <class Info>
  std::string operator()(const Info& info) const {
    return info.param.name;
  }
};

}  // namespace natgrad::testing
