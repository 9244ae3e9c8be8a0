// Distributions p(x|θ) with no network between: the setting of the note on natural gradient, where
// F is the covariance of the score and minus the expected Hessian of log p(x|θ).

#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include "support/quadrature.h"
#include "theory/small_network.h"

namespace natgrad::testing::unconditional_test {
namespace {

constexpr double kRounding = 1e-12;
constexpr int64_t kCount = 12;

/// θ, and how `kCount` observations are distributed by it.
struct Distribution {
  std::string name;
  std::vector<double> theta;
  std::function<Tensor(const Tensor& theta)> outputs;  ///< z, a row an observation
  std::function<std::shared_ptr<const Likelihood>(const Tensor& z)> family;
  std::function<Support(const Tensor& z)> support;
};

std::ostream& operator<<(std::ostream& out, const Distribution& d) { return out << d.name; }

Tensor repeated(const Tensor& theta) { return theta.unsqueeze(0).expand({kCount, theta.numel()}); }

const std::vector<Distribution> kDistributions = {
    {"Categorical",
     {0.5, -1, 0.2},
     repeated,
     [](auto& z) { return std::make_shared<Categorical>(z); },
     [](auto& z) { return enumerate_classes(z, 1); }},
    {"Bernoulli",
     {0.5, -1},
     repeated,
     [](auto& z) { return std::make_shared<Bernoulli>(z); },
     enumerate_binary},
    {"Poisson",
     {0.7},
     repeated,
     [](auto& z) { return std::make_shared<Poisson>(z); },
     enumerate_counts},
    {"NaturalGaussian",
     {0.5, -0.8},
     repeated,
     [](auto& z) { return std::make_shared<NaturalGaussian>(z); },
     [](auto& z) {
       return real_line(-0.5 * z.narrow(1, 0, 1) / z.narrow(1, 1, 1),
                        (-0.5 / z.narrow(1, 1, 1)).sqrt());
     }},
    {"GaussianWithOneMean",
     {0.5},
     repeated,
     [](auto& z) { return std::make_shared<Gaussian>(z); },
     [](auto& z) { return real_line(z, torch::ones({}, torch::kDouble)); }},
    {"CurvedMean",
     {0.5},
     [](auto& theta) {
       return repeated(torch::stack({theta[0].cos(), theta[0].sin()}));
     },
     [](auto& z) { return std::make_shared<Gaussian>(z); },
     [](auto& z) { return real_line(z, torch::ones({}, torch::kDouble)); }},
};

struct Unconditional : ::testing::TestWithParam<Distribution> {
  const Tensor theta = torch::tensor(GetParam().theta, torch::kDouble).requires_grad_();

  LossGraph graph() const {
    const auto family = GetParam().family(GetParam().outputs(theta));
    return LossGraph(nll(family, family->sample(seeded(6701))), {theta});
  }
  /// E[term(log p(x|θ))] for one observation, or for its independent parts one by one: their scores
  /// have mean zero, so that covariances add up.
  template <class Term>
  Tensor expectation(Term term) const {
    const auto one = GetParam().family(GetParam().outputs(theta).narrow(0, 0, 1));
    const auto support = GetParam().support(one->outputs().detach());
    auto sum = torch::zeros({theta.numel(), theta.numel()}, torch::kDouble);
    for (size_t k = 0; k < support.points.size(); ++k) {
      const auto log_p = one->log_prob(support.points[k]);
      const auto measure = support.measure[k].expand_as(log_p).reshape(-1);
      for (int64_t i = 0; i < log_p.numel(); ++i) {
        const auto log_of_part = log_p.reshape(-1)[i];
        sum += (measure[i] * log_of_part.exp()).detach() * term(log_of_part);
      }
    }
    return sum;
  }
};

TEST_P(Unconditional, FisherMatrixIsTheCovarianceOfTheScore) {
  const auto expected = expectation([&](const Tensor& log_p) {
    const auto score = gradient_of(log_p, {theta});
    return score.outer(score);
  });
  EXPECT_LT(relative_error(dense(fisher(graph())), expected), kRounding);
}

TEST_P(Unconditional, FisherMatrixIsMinusTheExpectedHessian) {
  const auto expected = expectation([&](const Tensor& log_p) { return -hessian(log_p, {theta}); });
  EXPECT_LT(relative_error(dense(fisher(graph())), expected), kRounding);
}

TEST_P(Unconditional, NaturalGradientSolvesTheFisherMatrix) {
  const auto read = graph();
  const auto natural = tight_solver().solve(fisher(read), read.gradient()).x;
  const auto expected =
      torch::linalg_pinv(dense(fisher(read)), 1e-12, /*hermitian=*/true).mv(read.gradient());
  EXPECT_LT(relative_error(natural, expected), kRounding);
}

TEST_P(Unconditional, StepsOfTheOptimizerFollowIt) {
  const auto read = graph();
  const auto start = theta.detach().clone();
  const auto natural = tight_solver().solve(fisher(read), read.gradient()).x;
  const auto family = GetParam().family(GetParam().outputs(theta));
  NaturalGradient optimizer({theta}, plain_natural_gradient(0.25));
  optimizer.step(nll(family, family->sample(seeded(6701))));
  EXPECT_LT(relative_error(theta, start - 0.25 * natural), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Distributions, Unconditional, ::testing::ValuesIn(kDistributions),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::unconditional_test
