#include "graph/sign_by_kind.h"

#include <torch/csrc/autograd/variable.h>

#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::sign_by_kind_test {
namespace {

namespace F = torch::nn::functional;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor targets() { return randn({kExamples, kOutputs}, 701); }
Tensor bits() { return targets().gt(0).to(torch::kDouble); }
Tensor signs() { return 2 * bits() - 1; }
Tensor positive() { return targets().abs() + 0.1; }
Tensor ce_of_each(const Tensor& z) {
  return F::cross_entropy(z, labels(), F::CrossEntropyFuncOptions().reduction(torch::kNone));
}

struct Expression {
  std::string name;
  std::function<Tensor(const Tensor& z)> of;
};

void PrintTo(const Expression& expression, std::ostream* out) { *out << expression.name; }

bool says_not_negative(const Tensor& t) {
  return is_non_negative_by_kind(torch::autograd::impl::gradient_edge(t));
}

struct NotNegative : ::testing::TestWithParam<Expression> {};

TEST_P(NotNegative, IsShownAndIsTrue) {
  const auto h = GetParam().of(parameter({kExamples, kOutputs}, 702));
  EXPECT_TRUE(says_not_negative(h));
  EXPECT_GE(h.min().item<double>(), 0);
}

const std::vector<Expression> kNotNegative = {
    {"Square", [](auto& z) { return z.square().mean(); }},
    {"ProductWithItself", [](auto& z) { return (z * z).sum(); }},
    {"FourthPower", [](auto& z) { return (z - 1).pow(4).sum(); }},
    {"InverseSquare", [](auto& z) { return z.pow(-2).sum(); }},
    {"PowerOfNotNegative", [](auto& z) { return z.abs().pow(1.5).sum(); }},
    {"Absolute", [](auto& z) { return (z - targets()).abs().mean(); }},
    {"HingeByRelu", [](auto& z) { return (1 - signs() * z).relu().mean(); }},
    {"HingeByClampMin", [](auto& z) { return (1 - signs() * z).clamp_min(0).mean(); }},
    {"ClampBothWays", [](auto& z) { return z.clamp(0, 2).sum(); }},
    {"Norm", [](auto& z) { return z.norm(2, 1).mean(); }},
    {"SmoothRoot", [](auto& z) { return (z.square() + targets().square()).sqrt().mean(); }},
    {"Exponential", [](auto& z) { return z.exp().mean(); }},
    {"Softplus", [](auto& z) { return torch::softplus(signs() * z).mean(); }},
    {"CrossEntropy", [](auto& z) { return F::cross_entropy(z, labels()); }},
    {"Focal", [](auto& z) { return ((1 - (-ce_of_each(z)).exp()).pow(2) * ce_of_each(z)).mean(); }},
    {"Entropy", [](auto& z) { return -(z.softmax(1) * z.log_softmax(1)).sum(1).mean(); }},
    {"LogOfSoftmax", [](auto& z) { return -z.softmax(1).log().select(1, 0).mean(); }},
    {"LogOfSigmoid", [](auto& z) { return -(bits() * z.sigmoid().log()).mean(); }},
    {"LogSigmoid", [](auto& z) { return -torch::log_sigmoid(z).mean(); }},
    {"MeanSquare", [](auto& z) { return F::mse_loss(z, targets()); }},
    {"Huber", [](auto& z) { return F::huber_loss(z, targets()); }},
    {"SmoothL1", [](auto& z) { return F::smooth_l1_loss(z, targets()); }},
    {"Coins", [](auto& z) { return F::binary_cross_entropy_with_logits(z, bits()); }},
    {"CoinsOfSigmoid", [](auto& z) { return F::binary_cross_entropy(z.sigmoid(), bits()); }},
    {"Triplet", [](auto& z) { return F::triplet_margin_loss(z, targets(), signs()); }},
    {"MultiMargin", [](auto& z) { return F::multi_margin_loss(z, labels()); }},
    {"Ctc",
     [](auto& z) {
       return F::ctc_loss(z.log_softmax(1).unsqueeze(1), torch::tensor({{1, 2}}),
                          torch::tensor({kExamples}), torch::tensor({2}));
     }},
    {"SumOfTwo", [](auto& z) { return z.square().mean() + 0.1 * z.abs().sum(); }},
    {"QuotientByANumber", [](auto& z) { return z.abs().sum() / 7; }},
    {"QuotientOfTwo", [](auto& z) { return z.square().sum() / z.exp().sum(); }},
    {"WeightedElements", [](auto& z) { return (positive() * z.square()).sum(); }},
    {"TwoSignsFlipped", [](auto& z) { return (-2 * -z.abs()).sum(); }},
    {"Worst", [](auto& z) { return z.square().amax(1).mean(); }},
    {"LargerOfTwo", [](auto& z) { return torch::maximum(z.square(), z.abs()).sum(); }},
    {"OneOrTheOther", [](auto& z) { return torch::where(z > 1, z.abs(), z.square()).sum(); }},
    {"Stacked",
     [](auto& z) {
       return torch::stack({z.abs().sum(), z.square().sum()}).mean();
     }},
    {"Joined",
     [](auto& z) {
       return torch::cat({z.abs(), z.exp()}).sum();
     }},
    {"LogOfOneMore", [](auto& z) { return z.square().log1p().sum(); }},
    {"ExponentialLessOne", [](auto& z) { return z.square().expm1().sum(); }},
    {"Viewed", [](auto& z) { return z.square().t().reshape(-1).slice(0, 1, 5).sum(); }},
    {"Chosen", [](auto& z) { return z.abs().index_select(0, labels().clamp_max(3)).sum(); }},
};

INSTANTIATE_TEST_SUITE_P(Expressions, NotNegative, ::testing::ValuesIn(kNotNegative),
                         [](const auto& info) { return info.param.name; });

// Some of them are negative here, others could be at other numbers.
struct Unknown : ::testing::TestWithParam<Expression> {};

TEST_P(Unknown, IsNotTakenForNotNegative) {
  EXPECT_FALSE(says_not_negative(GetParam().of(parameter({kExamples, kOutputs}, 703))));
}

const std::vector<Expression> kUnknown = {
    {"Sum", [](auto& z) { return z.sum(); }},
    {"MinusASquare", [](auto& z) { return -z.square().mean(); }},
    {"ThirdPower", [](auto& z) { return z.pow(3).sum(); }},
    {"OddRootOfAnything", [](auto& z) { return z.pow(0.5).sum(); }},
    {"ClampBelowZero", [](auto& z) { return z.clamp(-1, 1).sum(); }},
    {"ClampMinBelowZero", [](auto& z) { return z.clamp_min(-1).sum(); }},
    {"ClampFromAboveAlone", [](auto& z) { return z.clamp_max(1).sum(); }},
    {"LogOfSigmoid", [](auto& z) { return z.sigmoid().log().sum(); }},
    {"LogOfSigmoidLessANumber", [](auto& z) { return -(z.sigmoid().log() - 0.5).sum(); }},
    {"MinusLogOfSigmoidLessANumber", [](auto& z) { return (-z.sigmoid().log() - 0.5).sum(); }},
    {"LogOfASquare", [](auto& z) { return z.square().log().sum(); }},
    {"MinusLogOfAnExponential", [](auto& z) { return -z.exp().log().sum(); }},
    {"LogSoftmax", [](auto& z) { return z.log_softmax(1).mean(); }},
    {"ProductOfUnknownSigns", [](auto& z) { return (z.select(1, 0) * z.select(1, 1)).sum(); }},
    {"ProductOfAnUnknownSign", [](auto& z) { return (z * z.abs()).sum(); }},
    {"QuotientByAnUnknownSign", [](auto& z) { return (z.abs() / z.select(1, 0).sum()).sum(); }},
    {"NegativeWeight", [](auto& z) { return (-2 * z.square()).sum(); }},
    {"WeightsOfBothSigns", [](auto& z) { return (signs() * z.square()).sum(); }},
    {"QuotientByANegativeNumber", [](auto& z) { return z.abs().sum() / -7; }},
    {"LessANumber", [](auto& z) { return F::cross_entropy(z, labels()) - 1; }},
    {"PlusANegativeNumber", [](auto& z) { return F::cross_entropy(z, labels()) + -9; }},
    {"PlusAConstant", [](auto& z) { return (z.abs() + targets()).sum(); }},
    {"PlusANegativeMultiple", [](auto& z) { return torch::add(z.abs(), z.square(), -3).sum(); }},
    {"Difference", [](auto& z) { return z.square().sum() - z.abs().sum(); }},
    {"EntropyBonus",
     [](auto& z) {
       return F::cross_entropy(z, labels()) +
              0.01 * (z.softmax(1) * z.log_softmax(1)).sum(1).mean();
     }},
    {"OneOfTwoUnknown", [](auto& z) { return torch::where(z > 0, z.abs(), z).sum(); }},
    {"SmallerOfOneUnknown", [](auto& z) { return torch::minimum(z.abs(), z).sum(); }},
    {"JoinedWithAConstant",
     [](auto& z) {
       return torch::cat({z.abs(), targets()}).sum();
     }},
    {"Tanh", [](auto& z) { return z.tanh().sum(); }},
    {"NetworkOfSquares",
     [](auto& z) {
       return z.square().mm(randn({kOutputs, 2}, 704)).sum();
     }},
};

INSTANTIATE_TEST_SUITE_P(Expressions, Unknown, ::testing::ValuesIn(kUnknown),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::sign_by_kind_test
