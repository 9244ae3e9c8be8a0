// One step of rate one where the outputs are linear in the parameters: with natural parameters it
// is Newton's step and iteratively reweighted least squares; with squared error it is least
// squares, also where these are ill-conditioned (Martens, "New perspectives", section 9, on ε = 1).

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/poisson.h>

#include "theory/small_network.h"

namespace natgrad::testing::newton_step_test {
namespace {

using Map = std::function<Tensor(const Tensor& z)>;

/// The minimiser of ‖A w - b‖ by an SVD, w of A's columns.
Tensor least_squares(const Tensor& A, const Tensor& b) {
  return std::get<0>(torch::linalg_lstsq(A, b.unsqueeze(1), {}, "gelsd")).squeeze(1);
}

// ---- Generalised linear models (Nelder & Wedderburn 1972). ----

struct LinearModel {
  std::string name;
  Map targets;  // from standard normal numbers
  std::function<Tensor(const Tensor&z, const Tensor&y)> loss, reference;
  Map mean, variance;  // of y, by z
};

std::ostream& operator<<(std::ostream& out, const LinearModel& model) { return out << model.name; }

const std::vector<LinearModel> kLinearModels = {
    {"Bernoulli", [](auto& t) { return (t > 0).to(torch::kDouble); },
     [](auto& z, auto& y) { return nll(Bernoulli(z), y); },
     [](auto& z, auto& y) { return (z.exp().log1p() - y * z).mean(); },
     [](auto& z) { return z.sigmoid(); }, [](auto& z) { return z.sigmoid() * (-z).sigmoid(); }},
    {"Poisson", [](auto& t) { return t.exp().round(); },
     [](auto& z, auto& y) { return nll(Poisson(z), y); },
     [](auto& z, auto& y) { return (z.exp() - y * z).mean(); }, [](auto& z) { return z.exp(); },
     [](auto& z) { return z.exp(); }},
};

struct NewtonStep : ::testing::TestWithParam<LinearModel> {
  // Conjugate gradients on condition numbers of 1e2 to rounding.
  static constexpr double kSolve = 1e-12;

  const Tensor x = randn({30, 4}, 6211), y = GetParam().targets(randn({30}, 6212));
  const Tensor w = parameter({4}, 6213, 0.5);

  Tensor after_a_step() const {
    const auto moving = w.detach().clone().requires_grad_();
    NaturalGradient optimizer({moving}, plain_natural_gradient(1));
    optimizer.step(GetParam().loss(x.mv(moving), y));
    return moving.detach();
  }
};

TEST_P(NewtonStep, IsNewtons) {
  const auto h = GetParam().reference(x.mv(w), y);
  const auto newton = w - torch::linalg_solve(hessian(h, {w}), gradient_of(h, {w}));
  EXPECT_LT(relative_error(after_a_step(), newton), kSolve);
}

TEST_P(NewtonStep, IsReweightedLeastSquares) {
  // Of the working response z + (y - mean)/variance with the variances as weights.
  const auto z = x.mv(w).detach();
  const auto root = GetParam().variance(z).sqrt();
  const auto response = z + (y - GetParam().mean(z)) / GetParam().variance(z);
  const auto expected = least_squares(root.unsqueeze(1) * x, root * response);
  EXPECT_LT(relative_error(after_a_step(), expected), kSolve);
}

INSTANTIATE_TEST_SUITE_P(Models, NewtonStep, ::testing::ValuesIn(kLinearModels),
                         [](const auto& info) { return info.param.name; });

// ---- Ill-conditioned least squares: repeated steps are iterative refinement. ----

/// Whole numbers of degree five, y = 1 + x + ... + x⁵ at x = 0, ..., 20 (Wampler 1970): all
/// coefficients are one, and cond(G) = 4e13 in columns as they are, 5e6 after each was scaled.
struct Wampler : ::testing::Test {
  const Tensor x = torch::arange(21, torch::kDouble);
  const Tensor X = torch::stack({x.pow(0), x, x.pow(2), x.pow(3), x.pow(4), x.pow(5)}, 1);
  const Tensor y = X.sum(1), scale = X.norm(2, 0);
  const Tensor w = torch::zeros({6}, torch::kDouble).requires_grad_();

  /// Largest error of a coefficient after each step.
  std::vector<double> errors(int steps) {
    NaturalGradient optimizer({w}, plain_natural_gradient(1));
    std::vector<double> result;
    for (int k = 0; k < steps; ++k) {
      optimizer.step(nll(Gaussian((X / scale).mv(w)), y));
      result.push_back((w.detach() / scale - 1).abs().max().item<double>());
    }
    return result;
  }
};

TEST_F(Wampler, OneStepIsTheSolutionAndFurtherOnesRefineIt) {
  // Seen: 6e-7, 2e-12, 1e-11.
  const auto error = errors(3);
  EXPECT_LT(error[0], 1e-5);
  EXPECT_LT(error[1], 1e-3 * error[0]);
  EXPECT_LT(error[2], 1e-9);
}

}  // namespace
}  // namespace natgrad::testing::newton_step_test
