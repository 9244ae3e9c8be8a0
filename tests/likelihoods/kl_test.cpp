#include <natgrad/likelihoods/likelihood.h>

#include "support/likelihood_families.h"

// KL(r(·|z) ‖ r(·|z')) of every family of the table against its definition, by enumeration and
// quadrature of log r alone, and against what the theory says of it (Martens, section 6).

namespace natgrad::testing::kl_test {
namespace {

// The tests' sums: rules of 24 nodes and more, of integrands of order one.
constexpr double kQuadrature = 1e-9;
// d = 1e-6 is known to 2e-10 of itself as the difference of two numbers of order one.
constexpr double kRoundingOfDifference = 3e-9;
// A kink of log r leaves a term |d|³ in both directions: 1e-6 of the whole at d = 1e-6.
constexpr double kWithKink = 3e-6;
// A central difference over 1e-4: its square, and 1e-16/1e-4 of the divergence.
constexpr double kCentralDifference = 1e-6;
constexpr double kOrder = 0.05;
// float32 products of a few factors, and quotients of Bessel functions.
constexpr double kExactFloat = 5e-5;

bool begins(const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; }

/// Where log r(y|z) - log r(y|z') of a location family is cut into pieces, as values of y - z and
/// y - z'; empty for families whose rule for r(y|z) knows it well.
std::vector<double> breaks_of(const std::string& name) {
  if (begins(name, "HuberScale")) return {-0.35, 0.35};
  if (begins(name, "Huber")) return {-1, 1};
  if (begins(name, "LocationHuber")) return {-0.7, 0.7};
  for (const auto* family : {"Laplace", "StudentT", "Cauchy", "Logistic", "LocationLaplace",
                             "LocationSech", "LocationCauchy", "ExpLossPower"}) {
    if (begins(name, family)) return {0};
  }
  return {};
}

/// The real line in pieces that end at these rows: Gauss-Legendre on each, in a variable of which
/// half-integer powers at the ends are smooth functions, and in u = x/(1 + x) on the half-lines.
Support pieces_between(std::vector<Tensor> breaks) {
  constexpr int64_t kNodes = 100;
  const auto rule = gauss_legendre(kNodes);
  const auto sorted = std::get<0>(torch::stack(breaks, -1).sort(-1));
  Support support;
  const auto last = sorted.size(-1) - 1;
  for (int64_t k = 0; k < kNodes; ++k) {
    const double u = 0.5 * (1 + rule.nodes[k]), w = 0.5 * rule.weights[k];
    const double x = std::pow(u / (1 - u), 4),
                 slope = 4 * std::pow(u / (1 - u), 3) / std::pow(1 - u, 2);
    support.add(sorted.select(-1, 0) - x, w * slope);
    support.add(sorted.select(-1, last) + x, w * slope);
    // s = 35u⁴ - 84u⁵ + 70u⁶ - 20u⁷ is flat at both ends.
    const double s = std::pow(u, 4) * (35 + u * (-84 + u * (70 - 20 * u)));
    const double rise = 140 * std::pow(u * (1 - u), 3);
    for (int64_t i = 0; i < last; ++i) {
      const auto a = sorted.select(-1, i), length = sorted.select(-1, i + 1) - a;
      support.add(a + s * length, w * rise * length);
    }
  }
  return support;
}

class KLDivergence : public ::testing::TestWithParam<LikelihoodCase> {
 protected:
  const Tensor z_ = GetParam().outputs;
  const std::shared_ptr<Likelihood> likelihood_ = GetParam().make();

  std::shared_ptr<Likelihood> at(const Tensor& z) const { return GetParam().family.make(z); }
  /// A direction along which z ± d are outputs of the family.
  Tensor some_change() const {
    auto d = 0.3 * randn(z_.sizes(), 71);
    for (;; d = d / 2) {
      try {
        at(z_ + d), at(z_ - d);
        return d;
      } catch (const c10::Error&) {
      }
    }
  }
  Tensor kl(const Tensor& d) const { return likelihood_->kl(*at(z_ + d)); }
  /// ½ dᵀF_R d, per observation.
  Tensor half_square(const Tensor& d) const {
    const auto like = kl(d);
    const auto id =
        likelihood_->align(torch::arange(like.numel(), torch::kLong).view(like.sizes()));
    const auto terms = 0.5 * (d * likelihood_->fisher_multiply(d)).reshape(-1);
    return torch::zeros({like.numel()}, torch::kDouble)
        .index_add(0, id.expand_as(d).reshape(-1), terms)
        .view(like.sizes());
  }

  Support support(const Tensor& moved) const {
    const auto kinks = breaks_of(GetParam().family.name);
    if (kinks.empty()) return GetParam().support();
    std::vector<Tensor> breaks;
    for (const double kink : kinks) {
      breaks.push_back(z_ + kink);
      breaks.push_back(moved + kink);
    }
    return pieces_between(breaks);
  }
};

TEST_P(KLDivergence, IsTheExpectedLogRatio) {
  const auto d = some_change();
  const auto other = at(z_ + d);
  const auto y = support(z_ + d);
  Tensor sum = torch::zeros_like(likelihood_->log_prob(y.points[0]));
  for (size_t k = 0; k < y.points.size(); ++k) {
    const auto log_r = likelihood_->log_prob(y.points[k]);
    sum = sum + y.measure[k] * log_r.exp() * (log_r - other->log_prob(y.points[k]));
  }
  EXPECT_LT(relative_error(kl(d), sum), kQuadrature);
}

// By rounding too, for changes of any size.
TEST_P(KLDivergence, IsNotNegativeAndZeroAtTheSameOutputs) {
  EXPECT_EQ(kl(torch::zeros_like(z_)).abs().max().item<double>(), 0);
  const auto d = some_change();
  for (const double size : {1., 1e-5, -1e-10}) {
    EXPECT_GE(kl(size * d).min().item<double>(), 0) << size;
  }
}

// Of z + d and z - d together, terms of third order cancel.
TEST_P(KLDivergence, KeepsItsDigitsNearTheOutputs) {
  const auto d =
      1e-6 * torch::nn::functional::normalize(some_change().reshape(-1),
                                              torch::nn::functional::NormalizeFuncOptions().dim(0))
                 .view(z_.sizes());
  const auto ahead = (z_ + d) - z_, back = (z_ - d) - z_;  // as they are rounded
  const double both = (kl(ahead).sum() + kl(back).sum()).item<double>();
  const double expected = (half_square(ahead) + half_square(back)).sum().item<double>();
  EXPECT_NEAR(both / expected, 1,
              GetParam().family.without_kink ? kRoundingOfDifference : kWithKink);
}

/// The order of KL - ½ dᵀF_R d: none where F_R is all of it.
int order_of_remainder(const std::string& name) {
  for (const auto* family :
       {"Gaussian", "DiagonalGaussian", "FullGaussian", "LocationGaussian", "ExpLossSquare"}) {
    if (begins(name, family)) return 0;
  }
  for (const auto* even : {"Huber", "StudentT", "Cauchy", "Logistic", "LocationHuber",
                           "LocationSech", "LocationCauchy", "ExpLossPower", "ExpLossCircular"}) {
    if (begins(name, even)) return 4;
  }
  return 3;
}

TEST_P(KLDivergence, IsHalfTheFisherMetricToThirdOrder) {
  const auto d = some_change();
  const auto remainder = [&](double eps) {
    return (kl(eps * d) - half_square(eps * d)).norm().item<double>();
  };
  const int order = order_of_remainder(GetParam().family.name);
  if (order == 0) {
    EXPECT_LT(relative_error(kl(d), half_square(d)), kQuadrature);
    return;
  }
  const double eps = order == 4 ? 0.2 : 0.01;
  // With the roots of |y - z| the term of fourth order has a logarithm.
  const bool has_roots = begins(GetParam().family.name, "ExpLossPower");
  EXPECT_NEAR(std::log2(remainder(eps) / remainder(eps / 2)), order, has_roots ? 0.25 : kOrder);
}

TEST_P(KLDivergence, IsDifferentiableInBothOutputs) {
  constexpr double kStep = 1e-4;
  const auto v = 0.3 * randn(z_.sizes(), 72), d = some_change();
  const auto z = z_.clone().requires_grad_(), moved = (z_ + 0.5 * d).requires_grad_();
  const auto slopes = torch::autograd::grad({at(z)->kl(*at(moved)).sum()}, {z, moved});
  const auto difference = [&](double of_z, double of_moved) {
    const auto at_step = [&](double h) {
      return at(z_ + h * of_z * v)->kl(*at(z_ + 0.5 * d + h * of_moved * v)).sum();
    };
    return (at_step(kStep) - at_step(-kStep)) / (2 * kStep);
  };
  const double scale = (slopes[1] * v).norm().item<double>() + 1e-3;
  EXPECT_NEAR((slopes[0] * v).sum().item<double>(), difference(1, 0).item<double>(),
              kCentralDifference * scale);
  EXPECT_NEAR((slopes[1] * v).sum().item<double>(), difference(0, 1).item<double>(),
              kCentralDifference * scale);
}

TEST_P(KLDivergence, Float32AgreesWithFloat64) {
  const auto z = z_.to(torch::kFloat), moved = (z_ + 0.3 * some_change()).to(torch::kFloat);
  const auto narrow = at(z)->kl(*at(moved));
  EXPECT_EQ(narrow.scalar_type(), torch::kFloat);
  const auto wide = at(z.to(torch::kDouble))->kl(*at(moved.to(torch::kDouble)));
  EXPECT_LT(relative_error(narrow, wide), kExactFloat);
}

TEST_P(KLDivergence, RefusesWhatItIsNotBetween) {
  struct Other final : Likelihood {
    explicit Other(const Tensor& z) : Likelihood(z) {}
    std::string describe() const override { return "Other()"; }
    Tensor fisher_multiply(const Tensor& v) const override { return v; }
    Tensor factor_multiply(const Tensor& v) const override { return v; }
    Tensor sample(std::optional<at::Generator>) const override { return {}; }
    bool hessian_is_fisher() const override { return true; }
    void check_targets(const Tensor&) const override {}
    Tensor compute_log_prob(const Tensor&) const override { return {}; }
    Tensor compute_score(const Tensor&) const override { return {}; }
  };
  const Other other(z_);
  expect_error([&] { likelihood_->kl(other); }, "of one family");
  expect_error([&] { other.kl(other); }, "override compute_kl");
  expect_error([&] { likelihood_->kl(*at(z_.to(torch::kFloat))); }, "one dtype");
}

INSTANTIATE_TEST_SUITE_P(Families, KLDivergence, ::testing::ValuesIn(likelihood_cases()),
                         likelihood_case_name);

// ---- What the table's outputs do not reach. ----

Tensor vector(std::initializer_list<double> numbers) {
  return torch::tensor(std::vector<double>(numbers), torch::kDouble);
}

TEST(KLDivergenceTest, RefusesOutputsOfAnotherShape) {
  expect_error([] { Poisson(torch::zeros({3})).kl(Poisson(torch::zeros({3, 1}))); }, "one shape");
}

TEST(KLDivergenceTest, RefusesOtherFixedParameters) {
  const auto z = torch::zeros({3, 2}, torch::kDouble);
  expect_error([&] { Gaussian(z, 1).kl(Gaussian(z, 2)); }, "fixed parameters");
  expect_error([&] { Multinomial(z, 3).kl(Multinomial(z, 4)); }, "fixed parameters");
  expect_error(
      [&] { ExpLoss(z, square_loss).kl(ExpLoss(z, circular_loss, Domain::interval(-3, 3))); },
      "fixed parameters");
  const auto steep = [](const Tensor& y, const Tensor& x) { return (y - x).square(); };
  expect_error([&] { ExpLoss(z, square_loss).kl(ExpLoss(z, steep)); }, "fixed parameters");
}

// log Σ p e^d of a class of chance p = e^-g that gains d: p (e^d - 1 - d) with nothing lost to the
// other's rounding, where Σ p (log p - log p') has an error of 1e-16.
TEST(KLDivergenceTest, OfRareClassesKeepsItsDigits) {
  for (const double gap : {30., 60.}) {
    for (const double d : {1e-3, 1., -1., 5.}) {
      const auto z = vector({0, -gap}), moved = vector({0, -gap + d});
      const double p = std::exp(-gap), change = (moved - z)[1].item<double>();
      const double expected = p * (std::expm1(change) - change);  // to relative order p
      const auto rare = Categorical(z, 0).kl(Categorical(moved, 0)).item<double>();
      EXPECT_NEAR(rare / expected, 1, 1e-11) << gap << ", " << d;
      const auto binary = Bernoulli(vector({gap})).kl(Bernoulli(vector({gap}) - change));
      EXPECT_NEAR(binary.item<double>() / expected, 1, 1e-11) << gap << ", " << d;
    }
  }
}

TEST(KLDivergenceTest, OfGammasOfLargeShapeKeepsItsDigits) {
  // Both parameters 1 + s times as large: the mean stays, log Γ(α) and α log β cancel. To leading
  // orders in 1/α and s: ½ s² (α² ψ₁(α) - α) = ¼ s².
  constexpr double kS = 1e-3;
  const auto z = vector({1e8, -2e8}).view({1, 2});
  const double kl = Gamma(z).kl(Gamma(z * (1 + kS))).item<double>();
  EXPECT_NEAR(kl / (0.25 * kS * kS), 1, kS);
  EXPECT_NEAR(kl / (0.5 * (std::log1p(kS) * -1 + kS)), 1, 1e-7);  // ½ (s - log(1 + s)) for α → ∞
}

// Logits that rule a class out, and chances that are 0 or 1 by rounding, as masks and saturated
// sigmoids give.
TEST(KLDivergenceTest, OfCertainOutcomes) {
  const double inf = HUGE_VAL;
  const auto masked = vector({1, -inf, 0}), moved = vector({0.5, -inf, 0});
  const double two =
      Categorical(vector({1, 0}), 0).kl(Categorical(vector({0.5, 0}), 0)).item<double>();
  EXPECT_NEAR(Categorical(masked, 0).kl(Categorical(moved, 0)).item<double>() / two, 1, 1e-14);
  EXPECT_EQ(Categorical(vector({1, 0, 0}), 0).kl(Categorical(masked, 0)).item<double>(), inf);
  EXPECT_TRUE(
      std::isfinite(Categorical(masked, 0).kl(Categorical(vector({1, 0, 0}), 0)).item<double>()));
  EXPECT_EQ(Bernoulli(vector({inf, -inf})).kl(Bernoulli(vector({inf, -inf}))).max().item<double>(),
            0);
  EXPECT_NEAR(Bernoulli(vector({inf})).kl(Bernoulli(vector({0}))).item<double>(), std::log(2),
              1e-14);
  EXPECT_EQ(Bernoulli(vector({0})).kl(Bernoulli(vector({inf}))).item<double>(), inf);
}

TEST(KLDivergenceTest, OfChangesThatOverflow) {
  const auto far = vector({0, -2000}), swapped = vector({-2000, 0});
  EXPECT_NEAR(Categorical(far, 0).kl(Categorical(swapped, 0)).item<double>(), 2000, 1e-9);
  EXPECT_NEAR(Bernoulli(vector({-1000})).kl(Bernoulli(vector({1000}))).item<double>(), 1000, 1e-9);
  EXPECT_NEAR(Logistic(vector({0})).kl(Logistic(vector({1e6}))).item<double>(), 1e6 - 2, 1e-6);
  EXPECT_NEAR(
      NegativeBinomial(vector({-1}), 2).kl(NegativeBinomial(vector({40}), 2)).item<double>(),
      80 - 2 * (1 + std::exp(-1.)) * std::log1p(std::exp(-1.)) - 2 * std::exp(-1.), 1e-12);
}

// Of a diverged network the loss tells: no family throws at outputs that are no numbers.
TEST(KLDivergenceTest, IsNotANumberWhereOutputsAreNot) {
  for (const auto& c : likelihood_cases()) {
    if (c.outputs.dim() == 0 || c.family.name.rfind("ExpLoss", 0) == 0) continue;
    auto moved = c.outputs.clone();
    moved.view(-1)[0] = std::nan("");
    const auto kl = c.make()->kl(*c.family.make(moved)).reshape(-1);
    EXPECT_TRUE(std::isnan(kl[0].item<double>())) << c.name;
    if (c.outputs.dim() > 1 && kl.numel() > 1) {
      EXPECT_TRUE(std::isfinite(kl[kl.numel() - 1].item<double>())) << c.name;
    }
  }
}

TEST(KLDivergenceTest, SecondDerivativesByQuadratureAreRefused) {
  const auto z = vector({0.3}).requires_grad_();
  const auto kl = Huber(vector({0})).kl(Huber(z)).sum();
  expect_error([&] { torch::autograd::grad({kl}, {z}, {}, true, /*create_graph=*/true); },
               "differentiable once");
}

}  // namespace
}  // namespace natgrad::testing::kl_test
