#include <natgrad/likelihoods/likelihood.h>

#include "support/likelihood_families.h"

// Every family of the table against what the theory says of all of them (Martens, sections 4, 5 and
// 8). Matrices are over all entries of z at once, so that they also show that observations are
// independent.

namespace natgrad::testing::likelihood_test {
namespace {

// Sums of a few terms of order one in double; the 24 quadrature weights are known to 1e-12.
constexpr double kExact = 1e-11;
// float32 products of a few factors.
constexpr double kExactFloat = 2e-6;
// The same through F_R and its inverse, whose condition is a hundred at most.
constexpr double kSolvedFloat = 2e-5;

class LikelihoodProperties : public ::testing::TestWithParam<LikelihoodCase> {
 protected:
  const Tensor z_ = GetParam().outputs;
  const std::shared_ptr<Likelihood> likelihood_ = GetParam().make();
  const Support support_ = GetParam().support();

  /// measure · r(y|z) for each point y, per observation.
  std::vector<Tensor> probabilities() const {
    std::vector<Tensor> result;
    for (size_t k = 0; k < support_.points.size(); ++k) {
      result.push_back(support_.measure[k] * likelihood_->log_prob(support_.points[k]).exp());
    }
    return result;
  }

  /// A number per observation as one per entry of z, flat.
  Tensor spread(const Tensor& per_observation) const {
    return likelihood_->align(per_observation).expand_as(z_).reshape(-1);
  }

  /// 1 where two entries of z belong to the same observation.
  Tensor same_observation() const {
    const auto like = likelihood_->log_prob(support_.points[0]);
    const auto id = spread(torch::arange(like.numel(), torch::kDouble).view(like.sizes()));
    return id.unsqueeze(0).eq(id.unsqueeze(1)).to(torch::kDouble);
  }

  /// E[score scoreᵀ]; scores of different observations are independent with mean zero.
  Tensor covariance_of_score() const {
    auto sum = torch::zeros({z_.numel(), z_.numel()}, torch::kDouble);
    const auto r = probabilities();
    for (size_t k = 0; k < r.size(); ++k) {
      const auto s = likelihood_->score(support_.points[k]).reshape(-1);
      sum += spread(r[k]).unsqueeze(1) * s.outer(s);
    }
    return sum * same_observation();
  }

  /// ∇²_z log r(y|z) by double backward, a row at a time.
  Tensor hessian_of_log_prob(const Tensor& y) const {
    const auto z = z_.clone().requires_grad_();
    const auto value = GetParam().family.make(z)->log_prob(y).sum();
    const auto gradient = torch::autograd::grad({value}, {z}, {}, true, true)[0].reshape(-1);
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < z.numel(); ++i) {
      const auto row = torch::autograd::grad({gradient[i]}, {z}, {}, true, false, true)[0];
      rows.push_back(row.defined() ? row.reshape(-1) : torch::zeros({z.numel()}, z.options()));
    }
    return torch::stack(rows).detach();
  }

  /// The matrix of a linear map of tensors shaped like z.
  template <class Map>
  Tensor matrix_of(Map map) const {
    std::vector<Tensor> columns;
    for (int64_t j = 0; j < z_.numel(); ++j) {
      const auto basis = torch::zeros({z_.numel()}, torch::kDouble);
      basis[j] = 1;
      const auto column = map(basis.view(z_.sizes()));
      EXPECT_EQ(column.sizes(), z_.sizes());
      columns.push_back(column.reshape(-1));
    }
    return torch::stack(columns, 1);
  }

  Tensor fisher() const {
    return matrix_of([&](const Tensor& v) { return likelihood_->fisher_multiply(v); });
  }
};

TEST_P(LikelihoodProperties, LogProbSumsToOne) {
  auto total = torch::zeros_like(probabilities()[0]);
  for (const auto& r : probabilities()) total += r;
  EXPECT_LT(relative_error(total, torch::ones_like(total)), kExact);
}

TEST_P(LikelihoodProperties, ScoreHasMeanZeroUnderTheModel) {
  const auto r = probabilities();
  auto mean = torch::zeros({z_.numel()}, torch::kDouble);
  auto size = torch::zeros({z_.numel()}, torch::kDouble);
  for (size_t k = 0; k < r.size(); ++k) {
    const auto term = spread(r[k]) * likelihood_->score(support_.points[k]).reshape(-1);
    mean += term;
    size += term.abs();
  }
  EXPECT_LT((mean.abs() / size).max().item<double>(), kExact);
}

TEST_P(LikelihoodProperties, ScoreIsTheGradientOfLogProb) {
  for (const auto& y : support_.points) {
    const auto z = z_.clone().requires_grad_();
    const auto value = GetParam().family.make(z)->log_prob(y).sum();
    const auto gradient = torch::autograd::grad({value}, {z})[0];
    EXPECT_LT(relative_error(likelihood_->score(y), gradient), kExact);
  }
}

TEST_P(LikelihoodProperties, FisherIsTheCovarianceOfTheScore) {
  EXPECT_LT(relative_error(fisher(), covariance_of_score()), kExact);
}

// A kink has no second derivative, but the score has a jump there: the identity then fails.
TEST_P(LikelihoodProperties, FisherIsMinusTheExpectedHessianExactlyWithoutAKink) {
  const auto r = probabilities();
  auto expected = torch::zeros({z_.numel(), z_.numel()}, torch::kDouble);
  for (size_t k = 0; k < r.size(); ++k) {
    expected -= spread(r[k]).unsqueeze(1) * hessian_of_log_prob(support_.points[k]);
  }
  const double difference = relative_error(fisher(), expected);
  EXPECT_EQ(GetParam().family.without_kink, difference < kExact) << "difference " << difference;
}

TEST_P(LikelihoodProperties, FisherIsTheFactorTimesItsTranspose) {
  const auto b = matrix_of([&](const Tensor& r) { return likelihood_->factor_multiply(r); });
  EXPECT_LT(relative_error(b.mm(b.t()), covariance_of_score()), kExact);
}

// F⁻ of what F makes, whichever of several it answers where F is singular.
TEST_P(LikelihoodProperties, FisherSolveUndoesAProduct) {
  const auto product = likelihood_->fisher_multiply(randn(z_.sizes(), 4));
  const auto again = likelihood_->fisher_multiply(likelihood_->fisher_solve(product));
  EXPECT_LT(relative_error(again, product), kExact);
  const auto narrow = GetParam().family.make(z_.to(torch::kFloat));
  const auto solution = narrow->fisher_solve(product.to(torch::kFloat));
  EXPECT_EQ(solution.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(narrow->fisher_multiply(solution), product), kSolvedFloat);
}

TEST_P(LikelihoodProperties, FisherSolveIsSymmetricOnTheRange) {
  const auto F = fisher();
  const auto solve = [&](const Tensor& v) { return likelihood_->fisher_solve(v.view(z_.sizes())); };
  std::vector<Tensor> columns;
  for (int64_t j = 0; j < F.size(1); ++j) columns.push_back(solve(F.select(1, j)).reshape(-1));
  EXPECT_LT(relative_error(F.mm(torch::stack(columns, 1)), F), kExact);
}

// By two evaluations of log r, for the families that say how it changes.
TEST_P(LikelihoodProperties, OutputChangeIsTheChangeOfLogProb) {
  const auto d = randn(z_.sizes(), 5);
  for (const auto& y : support_.points) {
    const auto change = likelihood_->output_change(likelihood_->score(y), d);
    if (!change) continue;
    const auto moved = GetParam().family.make(z_ + d)->log_prob(y);
    const auto expected = likelihood_->align(likelihood_->log_prob(y) - moved);
    EXPECT_LT(relative_error(change->loss, expected.expand_as(change->loss)), kExact);
    EXPECT_TRUE(change->reach.ge(0).all().item<bool>());
    EXPECT_LE(change->reach.max().item<double>(), 2 * d.abs().max().item<double>());
  }
}

/// Those whose F_R depends on z in a unit that is the family's own.
bool says_how_it_changes(const std::string& text) {
  for (const auto* family : {"Bernoulli(", "Categorical(", "LogRateExponential(", "LogStdGaussian(",
                             "LogVarianceGaussian(", "Multinomial(", "NegativeBinomial(",
                             "Poisson(", "ResidualSpread("}) {
    if (text.rfind(family, 0) == 0) return true;
  }
  return false;
}

TEST_P(LikelihoodProperties, OutputChangeIsSaidByNineFamilies) {
  const auto none = torch::zeros_like(z_);
  const auto change = likelihood_->output_change(none, none);
  EXPECT_EQ(change.has_value(), says_how_it_changes(likelihood_->describe()))
      << likelihood_->describe();
}

// A move of nothing changes nothing; one that is ten times as long reaches ten times as far.
TEST_P(LikelihoodProperties, OutputReachIsALength) {
  const auto d = randn(z_.sizes(), 6);
  const auto score = likelihood_->score(support_.points[0]);
  const auto none = likelihood_->output_change(score, torch::zeros_like(d));
  if (!none) return;
  EXPECT_LT(none->loss.abs().max().item<double>(), kExact);
  EXPECT_EQ(none->reach.max().item<double>(), 0);
  const auto once = likelihood_->output_change(score, d),
             ten = likelihood_->output_change(score, -10 * d);
  EXPECT_LT(relative_error(ten->reach, 10 * once->reach), kExact);
  EXPECT_GT(once->reach.min().item<double>(), 0);
}

// Both ways: a family that says yes is right at every y, one that says no is not merely modest.
TEST_P(LikelihoodProperties, HessianIsFisherExactlyWhereTheFamilySaysSo) {
  const auto expected = covariance_of_score();
  double largest = 0;
  for (const auto& y : support_.points) {
    largest = std::max(largest, relative_error(-hessian_of_log_prob(y), expected));
  }
  EXPECT_EQ(likelihood_->hessian_is_fisher(), largest < kExact) << "difference " << largest;
}

TEST_P(LikelihoodProperties, ProductsRepeatBitwiseAndAreFresh) {
  const auto v = randn(z_.sizes(), 3);
  const auto before = v.clone();
  const auto product = likelihood_->fisher_multiply(v).clone();
  const auto factor = likelihood_->factor_multiply(v).clone();
  const auto solution = likelihood_->fisher_solve(product).clone();
  likelihood_->fisher_solve(product).fill_(std::nan(""));
  EXPECT_TRUE(identical(likelihood_->fisher_solve(product), solution));
  likelihood_->fisher_multiply(v).fill_(std::nan(""));
  likelihood_->factor_multiply(v).fill_(std::nan(""));
  EXPECT_TRUE(identical(v, before));
  EXPECT_TRUE(identical(likelihood_->fisher_multiply(v), product));
  EXPECT_TRUE(identical(likelihood_->factor_multiply(v), factor));
}

// z as a layer may leave it, a slice of something larger.
TEST_P(LikelihoodProperties, StridedOutputsGiveTheSame) {
  const auto strided = torch::stack({z_, z_}, 0).movedim(0, -1).contiguous().select(-1, 1);
  const auto other = GetParam().family.make(strided);
  const auto v = randn(z_.sizes(), 3);
  const auto& y = support_.points.front();
  EXPECT_LT(relative_error(other->log_prob(y), likelihood_->log_prob(y)), kExact);
  EXPECT_LT(relative_error(other->score(y), likelihood_->score(y)), kExact);
  EXPECT_LT(relative_error(other->fisher_multiply(v), likelihood_->fisher_multiply(v)), kExact);
  EXPECT_LT(relative_error(other->factor_multiply(v), likelihood_->factor_multiply(v)), kExact);
}

TEST_P(LikelihoodProperties, Float32AgreesWithFloat64) {
  const auto narrow = GetParam().family.make(z_.to(torch::kFloat));
  const auto v = randn(z_.sizes(), 3);
  const auto& point = support_.points.front();
  const auto y = point.is_floating_point() ? point.to(torch::kFloat) : point;
  const auto check = [](const Tensor& actual, const Tensor& expected) {
    EXPECT_EQ(actual.scalar_type(), torch::kFloat);
    EXPECT_LT(relative_error(actual, expected), kExactFloat);
  };
  check(narrow->log_prob(y), likelihood_->log_prob(point));
  check(narrow->score(y), likelihood_->score(point));
  check(narrow->fisher_multiply(v.to(torch::kFloat)), likelihood_->fisher_multiply(v));
  check(narrow->factor_multiply(v.to(torch::kFloat)), likelihood_->factor_multiply(v));
}

TEST_P(LikelihoodProperties, TextNamesTheFamily) {
  EXPECT_EQ(likelihood_->describe(), GetParam().make()->describe());
  for (const auto& other : likelihood_cases()) {
    if (other.family.name == GetParam().family.name) continue;
    EXPECT_NE(likelihood_->describe(), other.make()->describe()) << other.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, LikelihoodProperties, ::testing::ValuesIn(likelihood_cases()),
                         likelihood_case_name);

}  // namespace
}  // namespace natgrad::testing::likelihood_test
