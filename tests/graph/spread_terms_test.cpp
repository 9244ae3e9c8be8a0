// A Gaussian's mean and spread written by hand: two terms, which together have its Fisher matrix.

#include "graph/spread_terms.h"

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::spread_terms_test {
namespace {

// A few dozen sums of numbers near one, in double.
constexpr double kRounding = 1e-12;

const std::vector<int64_t> kShape = {kExamples, 3};

Tensor targets() { return randn(kShape, 1301); }
Tensor weights() { return torch::rand(kShape, seeded(1302), torch::kDouble) + 0.2; }

/// What is left of -log r times 2, each as users write it, of μ and of s, which tells the variance.
struct Form {
  std::string name;
  std::string family;  ///< that reads s
  std::function<Tensor(const Tensor& r, const Tensor& s)> loss;
  std::function<Tensor(const Tensor& s)> variance;
  std::function<Tensor(const Tensor& s)> slope;  ///< d log v/ds
};

std::ostream& operator<<(std::ostream& out, const Form& form) { return out << form.name; }

std::vector<Form> forms() {
  const auto exp = [](const Tensor& s) { return s.exp(); };
  const auto one = [](const Tensor& s) { return torch::ones_like(s); };
  const auto minus_one = [](const Tensor& s) { return -torch::ones_like(s); };
  const auto itself = [](const Tensor& s) { return s; };
  const auto inverse = [](const Tensor& s) { return s.reciprocal(); };
  const auto of_log = "ResidualSpread(log variance)", of_v = "ResidualSpread(variance)";
  const auto of_log_std = "ResidualSpread(log deviation)", of_std = "ResidualSpread(deviation)";
  const auto exp_of_twice = [](const Tensor& s) { return (2 * s).exp(); };
  const auto square = [](const Tensor& s) { return s.square(); };
  const auto two = [](const Tensor& s) { return 2 * torch::ones_like(s); };
  const auto twice_inverse = [](const Tensor& s) { return 2 / s; };
  return {
      {"TimesExpOfMinus", of_log, [](auto& r, auto& s) { return r.square() * torch::exp(-s) + s; },
       exp, one},
      {"ExpFirst", of_log, [](auto& r, auto& s) { return s + (-s).exp() * (r * r); }, exp, one},
      {"OverExp", of_log, [](auto& r, auto& s) { return s + r.pow(2) / s.exp(); }, exp, one},
      {"TimesExpOfALogPrecision", "LogRateExponential",
       [](auto& r, auto& s) { return r.square() * s.exp() - s; },
       [](const Tensor& s) { return (-s).exp(); }, minus_one},
      {"HalfBeforeTheSquare", of_log,
       [](auto& r, auto& s) { return 2 * (0.5 * r.square() * torch::exp(-s)) + s; }, exp, one},
      {"HalfBeforeTheExp", of_log,
       [](auto& r, auto& s) { return 2 * (0.5 * torch::exp(-s) * r.square() + s / 2); }, exp, one},
      {"OverTwiceTheExp", of_log,
       [](auto& r, auto& s) { return 2 * (r.square() / (2 * s.exp()) + 0.5 * s); }, exp, one},
      {"OverTwiceTheVariance", of_v,
       [](auto& r, auto& s) { return 2 * (r.square() / (2 * s) + 0.5 * s.log()); }, itself,
       inverse},
      {"HalfOverVariance", of_v,
       [](auto& r, auto& s) { return 2 * (0.5 * r.pow(2) / s + 0.5 * torch::log(s)); }, itself,
       inverse},
      {"OverAVarianceThatIsAnExp", of_log,
       [](auto& r, auto& s) {
         const auto v = s.exp();
         return torch::log(v) + r.square() / v;
       },
       exp, one},
      {"TimesExpOfMinusTwice", of_log_std,
       [](auto& r, auto& s) { return 2 * (0.5 * r.square() * torch::exp(-2 * s) + s); },
       exp_of_twice, two},
      {"TimesExpOfMinusOfTwice", of_log_std,
       [](auto& r, auto& s) { return r.square() * torch::exp(-(2 * s)) + 2 * s; }, exp_of_twice,
       two},
      {"OverExpOfTwice", of_log_std,
       [](auto& r, auto& s) { return 2 * (0.5 * r.square() / (2 * s).exp() + s); }, exp_of_twice,
       two},
      {"OfALogVarianceThatIsTwice", of_log_std,
       [](auto& r, auto& s) {
         const auto v = 2 * s;
         return r.square() * torch::exp(-v) + v;
       },
       exp_of_twice, two},
      {"OverTheLogOfAVarianceThatIsTwice", of_log_std,
       [](auto& r, auto& s) {
         const auto v = (2 * s).exp();
         return r.square() / v + v.log();
       },
       exp_of_twice, two},
      {"OverTheSquareOfAnExp", of_log_std,
       [](auto& r, auto& s) {
         const auto sigma = s.exp();
         return 2 * (r.square() / (2 * sigma.square()) + s);
       },
       exp_of_twice, two},
      {"OverTheSquareOfAnExpWithItsLog", of_log_std,
       [](auto& r, auto& s) {
         const auto sigma = s.exp();
         return 2 * (0.5 * r.square() / (sigma * sigma) + sigma.log());
       },
       exp_of_twice, two},
      {"OverAVarianceThatIsTheSquareOfAnExp", of_log_std,
       [](auto& r, auto& s) {
         const auto v = s.exp().pow(2);
         return v.log() + r.square() / v;
       },
       exp_of_twice, two},
      {"TimesTheSquareOfAnExp", of_log_std,
       [](auto& r, auto& s) { return r.square() * torch::exp(-s).square() + 2 * s; }, exp_of_twice,
       two},
      {"OverThriceAnExp", of_log,
       [](auto& r, auto& s) {
         const auto v = 3 * s.exp();
         return r.square() / v + v.log();
       },
       [](const Tensor& s) { return 3 * s.exp(); }, one},
      {"OverTheSquareOfThriceAnExp", of_log_std,
       [](auto& r, auto& s) {
         const auto sigma = 3 * s.exp();
         return 2 * (r.square() / (2 * sigma.square()) + sigma.log());
       },
       [](const Tensor& s) { return 9 * (2 * s).exp(); }, two},
      {"OverFiveTimesAVariance", of_v,
       [](auto& r, auto& s) { return r.square() / (5 * s) + s.log(); },
       [](const Tensor& s) { return 5 * s; }, inverse},
      {"OverTwiceTheSquare", of_std,
       [](auto& r, auto& s) { return 2 * (r.square() / (2 * s.square()) + s.log()); }, square,
       twice_inverse},
      {"OverASquareWithItsLog", of_std,
       [](auto& r, auto& s) {
         const auto v = s * s;
         return v.log() + r.square() / v;
       },
       square, twice_inverse},
      {"OverVariance", of_v, [](auto& r, auto& s) { return torch::log(s) + r.square() / s; },
       itself, inverse},
  };
}

enum class Writing { Mean, Sum, Weighted };

Tensor reduced(const Tensor& twice, Writing writing) {
  if (writing == Writing::Mean) return 0.5 * twice.mean();
  return writing == Writing::Sum ? twice.sum() / 2 : (0.5 * weights() * twice).sum();
}

/// By which the observations count.
Tensor counts(Writing writing) {
  if (writing == Writing::Weighted) return weights();
  const double count = writing == Writing::Mean ? 12 : 1;
  return torch::full(kShape, 1 / count, torch::kDouble);
}

struct Spread : ::testing::TestWithParam<std::tuple<Form, Writing>> {
  Form form = std::get<0>(GetParam());
  Writing writing = std::get<1>(GetParam());
  Tensor mu = parameter(kShape, 1303);
  Tensor s = (randn(kShape, 1304).abs() + 0.3).requires_grad_();  // a variance, or its logarithm
  Tensor loss = reduced(form.loss(targets() - mu, s), writing);
  LossGraph graph{loss, {mu, s}};
  Tensor v = form.variance(s.detach());

  Tensor diagonal_of_fisher() const {
    const auto n = counts(writing);
    return flat({n / v, n / 2 * form.slope(s.detach()).square()});
  }
};

TEST_P(Spread, IsTwoTerms) {
  ASSERT_EQ(graph.terms().size(), 2u);
  EXPECT_EQ(graph.outputs(), 2u);
  const auto n = counts(writing);
  EXPECT_LT(relative_error(weights_of(graph, mu, gaussian()), n / v), kRounding);
  const auto& spread = graph.terms()[graph.terms()[0].output == output_of(graph, s) ? 0 : 1];
  EXPECT_EQ(spread.likelihood->describe().rfind(form.family, 0), 0u)
      << spread.likelihood->describe();
}

TEST_P(Spread, HasTheGaussiansFisherMatrix) {
  EXPECT_LT(relative_error(dense(fisher(graph)), diagonal_of_fisher().diag()), kRounding);
}

TEST_P(Spread, HasTheLossesGradient) {
  const auto expected = gradient_of(loss, {mu, s});
  EXPECT_LT(relative_error(graph.gradient(), expected), kRounding);
  EXPECT_LT(relative_error(term_gradients(graph, {mu, s}), expected), kRounding);
}

// Of the Hessian in (μ, s) the blocks; what mixes them vanishes on average alone.
TEST_P(Spread, HasTheBlocksOfTheHessian) {
  const auto expected = block_diagonal({hessian(loss, {mu}), hessian(loss, {s})});
  EXPECT_LT(relative_error(dense_loss_hessian(graph, {mu, s}), expected), kRounding);
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Form, Writing>>& info) {
  const auto& [form, writing] = info.param;
  return form.name + std::vector<std::string>{"Mean", "Sum", "Weighted"}[size_t(writing)];
}

INSTANTIATE_TEST_SUITE_P(Forms, Spread,
                         ::testing::Combine(::testing::ValuesIn(forms()),
                                            ::testing::Values(Writing::Mean, Writing::Sum,
                                                              Writing::Weighted)),
                         name_of);

// 3 s + r² e^-s is 6 times ½ (log v + r²/v) of v = 3 e^s, but for a constant.
TEST(SpreadTermsTest, AnyPositiveShareOfTheLogarithmIsOfSomeVariance) {
  const auto mu = parameter(kShape, 1303), s = parameter(kShape, 1304);
  const LossGraph graph(((targets() - mu).square() * (-s).exp() + 3 * s).sum(), {mu, s});
  const auto v = 3 * s.detach().exp();
  const auto expected = flat({6 / v, torch::full_like(v, 3)}).diag();
  EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
}

// log σ in two places, which belong together.
TEST(SpreadTermsTest, TheLogarithmMayStandInSeveralParts) {
  const auto mu = parameter(kShape, 1303);
  const auto sigma = (randn(kShape, 1304).abs() + 0.3).requires_grad_();
  const auto r = targets() - mu;
  const LossGraph graph(
      (r.square() / (2 * sigma.square()) + 0.25 * sigma.log() + 0.75 * sigma.log()).sum(),
      {mu, sigma});
  const auto v = sigma.detach().square();
  EXPECT_LT(relative_error(dense(fisher(graph)), flat({1 / v, 2 / v}).diag()), kRounding);
}

// σ² of a σ that may be negative: then v itself is what is read.
TEST(SpreadTermsTest, ADeviationOfAnySignHasTheFisherMatrixOfItsVariance) {
  const auto mu = parameter(kShape, 1303), s = parameter(kShape, 1304);
  ASSERT_LT(s.min().item<double>(), 0);
  const auto v = s.square();
  const auto loss = 0.5 * ((targets() - mu).square() / v + v.log()).sum();
  const auto sigma = s.detach();
  const auto expected = flat({1 / sigma.square(), 2 / sigma.square()}).diag();
  const LossGraph graph(loss, {mu, s});
  EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
}

/// One network with two heads, the second through `link`.
LossGraph graph_of_heads(const Network& network,
                         const std::function<Tensor(const Tensor& mu, const Tensor& s)>& loss) {
  const auto z = network.forward();
  return LossGraph(loss(z.narrow(1, 0, 3), z.narrow(1, 3, 3)), network.parameters);
}

TEST(SpreadTermsTest, HeadsOfANetworkHaveTheFisherMatrixOfBoth) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto graph = graph_of_heads(network, [](const Tensor& mu, const Tensor& s) {
    return 0.5 * ((mu - targets()).square() * (-s).exp() + s).mean();
  });
  const auto j = jacobian(z, network.parameters);
  const auto precision = (-z.narrow(1, 3, 3)).exp().detach();
  const auto half = torch::full(kShape, 0.5, torch::kDouble);
  const auto f = torch::cat({precision, half}, 1).reshape(-1).diag() / 12;
  EXPECT_LT(relative_error(dense(fisher(graph)), j.t().mm(f).mm(j)), kRounding);
}

// PyTorch's gaussian_nll_loss: a copy of the variance, clamped without the graph.
TEST(SpreadTermsTest, AClampedCopyOfTheVarianceIsRead) {
  constexpr double kLeast = 1e-6;
  const auto network = tanh_network();
  const auto loss_of = [=](const Tensor& mu, const Tensor& s) {
    auto v = torch::softplus(s).clone();
    {
      const torch::NoGradGuard no_grad;
      v.clamp_(kLeast);
    }
    return (0.5 * (torch::log(v) + (mu - targets()).pow(2) / v)).mean();
  };
  const auto graph = graph_of_heads(network, loss_of);
  const auto z = network.forward();
  const auto loss = loss_of(z.narrow(1, 0, 3), z.narrow(1, 3, 3));
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, network.parameters)), kRounding);
  const auto v = torch::softplus(z.narrow(1, 3, 3)).detach();
  const auto dv = z.narrow(1, 3, 3).sigmoid().detach();
  const auto f = torch::cat({1 / v, (dv / v).square() / 2}, 1).reshape(-1).diag() / 12;
  const auto j = jacobian(z, network.parameters);
  EXPECT_LT(relative_error(dense(fisher(graph)), j.t().mm(f).mm(j)), kRounding);
}

// Residual and spread beside a divergence of another family.
TEST(SpreadTermsTest, StandsBesideOtherTerms) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto mu = z.narrow(1, 0, 3), s = z.narrow(1, 3, 3);
  const auto spread = 0.5 * ((mu - targets()).square() * (-s).exp() + s).mean();
  const auto other = torch::nn::functional::cross_entropy(z, torch::tensor({0, 2, 5, 2}));
  const auto both = dense(fisher(LossGraph(spread + other, network.parameters)));
  const auto sum = dense(fisher(LossGraph(spread, network.parameters))) +
                   dense(fisher(LossGraph(other, network.parameters)));
  EXPECT_LT(relative_error(both, sum), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::spread_terms_test
