// Generalised linear models against iteratively reweighted least squares, written here by dense
// algebra: coefficients and standard errors, for losses that are means and for sums.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/optim/minimise.h>
#include <natgrad/optim/presets.h>

#include "support/oracles.h"

namespace natgrad::testing::generalised_linear_models_test {
namespace {

namespace F = torch::nn::functional;
using Reduction = at::Reduction::Reduction;

// Designs of condition 10 and less; standard errors carry the coefficients' error.
constexpr double kCoefficients = 1e-11, kErrors = 1e-10;
constexpr int64_t kRows = 80, kColumns = 4;
constexpr double kShape = 3, kFailures = 2.5;

struct Model {
  std::string name;
  std::function<Tensor(const Tensor& eta, const Tensor& uniform)> draw;
  std::function<Tensor(const Tensor& eta, const Tensor& y, Reduction reduction)> loss;
  /// ∂ log r/∂η, and its variance.
  std::function<Tensor(const Tensor& eta, const Tensor& y)> score;
  std::function<Tensor(const Tensor& eta)> information;
};

std::ostream& operator<<(std::ostream& out, const Model& model) { return out << model.name; }

Tensor rounded_counts(const Tensor& mean, const Tensor& u) { return (2 * u * mean).round(); }

Tensor gamma_outputs(const Tensor& eta) {
  return torch::stack({torch::full_like(eta, kShape), -kShape * (-eta).exp()}, 1);
}

const std::vector<Model> kModels = {
    {"Logistic", [](auto& eta, auto& u) { return (u < eta.sigmoid()).to(torch::kDouble); },
     [](auto& eta, auto& y, auto reduction) {
       return torch::binary_cross_entropy_with_logits(eta, y, {}, {}, reduction);
     },
     [](auto& eta, auto& y) { return y - eta.sigmoid(); },
     [](auto& eta) { return eta.sigmoid() * (-eta).sigmoid(); }},
    {"Poisson", [](auto& eta, auto& u) { return rounded_counts(eta.exp(), u); },
     [](auto& eta, auto& y, auto reduction) {
       return torch::poisson_nll_loss(eta, y, /*log_input=*/true, /*full=*/false, 1e-8, reduction);
     },
     [](auto& eta, auto& y) { return y - eta.exp(); }, [](auto& eta) { return eta.exp(); }},
    {"Gamma", [](auto& eta, auto& u) { return eta.exp() * (0.2 + 1.6 * u); },
     [](auto& eta, auto& y, auto reduction) {
       return nll(Gamma(gamma_outputs(eta)), y.unsqueeze(1), reduction);
     },
     [](auto& eta, auto& y) { return kShape * (y * (-eta).exp() - 1); },
     [](auto& eta) { return torch::full_like(eta, kShape); }},
    {"NegativeBinomial",
     [](auto& eta, auto& u) { return rounded_counts(kFailures * eta.exp(), u); },
     [](auto& eta, auto& y, auto reduction) {
       return nll(NegativeBinomial(eta, kFailures), y, reduction);
     },
     [](auto& eta, auto& y) { return y * (-eta).sigmoid() - kFailures * eta.sigmoid(); },
     [](auto& eta) { return kFailures * eta.sigmoid(); }},
};

struct Estimate {
  Tensor coefficients, standard_errors;
};

struct GeneralisedLinearModels : ::testing::TestWithParam<Model> {
  Tensor x =
      torch::cat({torch::ones({kRows, 1}, torch::kDouble), randn({kRows, kColumns - 1}, 91)}, 1);
  Tensor truth = torch::tensor({0.5, -0.6, 0.4, 0.}, torch::kDouble);
  Tensor y = GetParam().draw(x.mv(truth), torch::rand({kRows}, seeded(92), torch::kDouble));

  Estimate reweighted_least_squares() const {
    auto b = torch::zeros({kColumns}, torch::kDouble);
    Tensor information;
    for (int k = 0; k < 60; ++k) {
      const auto eta = x.mv(b);
      information = x.t().mm(GetParam().information(eta).unsqueeze(1) * x);
      b = b + torch::linalg_solve(information, x.t().mv(GetParam().score(eta, y)));
    }
    return {b, torch::linalg_inv(information).diagonal().sqrt()};
  }

  void expect_the_same(Reduction reduction) {
    const auto b = torch::zeros({kColumns}, torch::kDouble).requires_grad_();
    NaturalGradient optimizer({b}, presets::least_squares());
    const auto minimum =
        minimise(optimizer, [&] { return GetParam().loss(x.mv(b), y, reduction); });
    const auto expected = reweighted_least_squares();
    EXPECT_TRUE(minimum.converged) << minimum.message();
    EXPECT_LT(relative_error(b, expected.coefficients), kCoefficients) << minimum.message();
    EXPECT_LT(relative_error(minimum.standard_errors, expected.standard_errors), kErrors);
  }
};

TEST_P(GeneralisedLinearModels, MeanEndsWhereReweightedLeastSquaresDo) {
  expect_the_same(Reduction::Mean);
}
TEST_P(GeneralisedLinearModels, SumEndsWhereReweightedLeastSquaresDo) {
  expect_the_same(Reduction::Sum);
}

INSTANTIATE_TEST_SUITE_P(Families, GeneralisedLinearModels, ::testing::ValuesIn(kModels),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::generalised_linear_models_test
