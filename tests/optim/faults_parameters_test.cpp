// docs/faults.md, rows 35 to 45: the parameters.

#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_parameters_test {
namespace {

namespace F = torch::nn::functional;

Tensor leaf(at::IntArrayRef shape, uint64_t seed) { return randn(shape, seed).requires_grad_(); }

using Parameters = std::vector<Tensor>;

/// The half squared distance of the outputs from fixed numbers.
Tensor loss_of(const Tensor& z) {
  return nll(Gaussian(z), randn(z.sizes(), 5001), at::Reduction::Sum);
}

/// One step with λ = 0.1, a tight solver and lr 1 is this solution of (JᵀJ + λI) δ = -g.
void expect_dense_step(const Parameters& parameters, const std::function<Tensor()>& outputs) {
  constexpr double kRounding = 1e-11, kLambda = 0.1;
  NaturalGradient optimizer(
      parameters, NaturalGradientOptions(1).damping(Tikhonov(kLambda)).solver(tight_solver()));
  const auto z = outputs();
  const auto j = jacobian(z, parameters), g = gradient_of(loss_of(z), parameters);
  const auto a = j.t().mm(j) + kLambda * torch::eye(j.size(1), torch::kDouble);
  const auto expected = flat(parameters).detach() - torch::linalg_solve(a, g);
  optimizer.step(loss_of(z));
  EXPECT_LT(relative_error(flat(parameters).detach(), expected), kRounding);
}

TEST(FaultsParameters, Row35TiedParametersAreCountedOnce) {
  const auto w = leaf({4, 6}, 1);
  const auto x = randn({5, 6}, 2);
  expect_dense_step({w}, [&] { return x.mm(w.t()).tanh().mm(w); });
}

TEST(FaultsParameters, Row35SharedModulesAreCountedOnce) {
  torch::nn::Linear shared(4, 4);
  shared->to(torch::kDouble);
  const auto x = randn({5, 4}, 3);
  expect_dense_step(shared->parameters(),
                    [&] { return shared->forward(shared->forward(x).tanh()); });
}

TEST(FaultsParameters, ComplexOnesAreRefusedAndTheirPartsTrain) {
  const auto re = leaf({4}, 1), im = leaf({4}, 2);
  const auto x = torch::complex(randn({9, 4}, 3), randn({9, 4}, 4));
  const auto whole = torch::complex(re, im).detach().requires_grad_();
  expect_error([&] { NaturalGradient(Parameters{whole}); }, "torch::complex(re, im)");
  expect_dense_step({re, im}, [&] { return x.mv(torch::complex(re, im)).abs(); });
}

TEST(FaultsParameters, Row36DuplicatesThrow) {
  const auto w = leaf({3}, 1);
  expect_error([&] { NaturalGradient(Parameters{w, leaf({2}, 2), w}); }, "twice");
}

TEST(FaultsParameters, Row36DuplicatesAcrossGroupsThrow) {
  const auto w = leaf({3}, 1);
  const auto build = [&] {
    NaturalGradient(std::vector<torch::optim::OptimizerParamGroup>{Parameters{w}, Parameters{w}});
  };
  EXPECT_THROW(build(), c10::Error);
}

TEST(FaultsParameters, Row36DuplicatesInALaterGroupThrow) {
  const auto w = leaf({3}, 1);
  NaturalGradient optimizer(Parameters{w});
  EXPECT_THROW(optimizer.add_param_group(Parameters{w}), c10::Error);
}

TEST(FaultsParameters, Row36DuplicatesAddedToAGroupLaterThrow) {
  Training training;
  training.good_step();
  training.optimizer->add_parameters({training.parameters()[1]});
  expect_error([&] { training.good_step(); }, "listed twice");
}

TEST(FaultsParameters, Row37OverlappingViewsThrow) {
  const auto storage = randn({10}, 1);
  const auto a = storage.narrow(0, 0, 6).requires_grad_();
  const auto b = storage.narrow(0, 5, 5).requires_grad_();
  expect_error([&] { NaturalGradient(Parameters{a, b}); }, "overlap");
}

TEST(FaultsParameters, Row37ViewsThatOnlyShareStorageAreFine) {
  const auto storage = randn({12}, 1);
  const auto a = storage.narrow(0, 0, 6).requires_grad_();
  const auto b = storage.narrow(0, 6, 6).requires_grad_();
  expect_dense_step({a, b}, [&] { return torch::outer(a, b).tanh(); });
}

TEST(FaultsParameters, Row37ViewsThatInterleaveAreFine) {
  const auto storage = randn({12}, 1);
  const auto a = storage.slice(0, 0, 12, 2).requires_grad_();
  const auto b = storage.slice(0, 1, 12, 2).requires_grad_();
  expect_dense_step({a, b}, [&] { return torch::outer(a, b).tanh(); });
}

TEST(FaultsParameters, Row38FrozenParametersAreUntouched) {
  Training training;
  const auto frozen = training.parameters()[0];
  frozen.requires_grad_(false);
  const auto before = frozen.clone(), others = training.theta();
  for (int k = 0; k < 3; ++k) training.good_step();
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_TRUE(same_bits(frozen, before));
  EXPECT_FALSE(frozen.requires_grad());
  EXPECT_FALSE(same_bits(training.theta(), others));
}

TEST(FaultsParameters, Row38FrozenParametersDoNotTakePart) {
  const auto w = leaf({4, 3}, 1), frozen = randn({6, 4}, 2);
  const auto x = randn({5, 3}, 3);
  expect_dense_step({w}, [&] { return x.mm(w.t()).tanh().mm(frozen.t()); });
}

TEST(FaultsParameters, Row39RequiresGradIsReadAtEachStep) {
  Training training;
  const auto parameter = training.parameters()[2];
  const auto moved_by = [&] {
    const auto before = parameter.detach().clone();
    training.good_step();
    EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
    return !same_bits(parameter, before);
  };
  EXPECT_TRUE(moved_by());
  parameter.requires_grad_(false);
  EXPECT_FALSE(moved_by());
  EXPECT_FALSE(moved_by());
  parameter.requires_grad_(true);
  EXPECT_TRUE(moved_by());
}

// What becomes of the previous step: changed_parameters_test.cpp.

TEST(FaultsParameters, Row40StridedParametersAreFine) {
  const auto transposed = randn({3, 4}, 1).t().requires_grad_();
  const auto every_second = randn({6, 8}, 2).slice(1, 0, 8, 2).requires_grad_();
  const auto x = randn({5, 3}, 3);
  expect_dense_step({transposed, every_second},
                    [&] { return x.mm(transposed.t()).tanh().mm(every_second.t()); });
  EXPECT_FALSE(transposed.is_contiguous());
  EXPECT_FALSE(every_second.is_contiguous());
}

TEST(FaultsParameters, Row40ExpandedParametersThrow) {
  const auto expanded = torch::ones({1}, torch::kDouble).expand({3}).requires_grad_();
  expect_error([&] { NaturalGradient(Parameters{expanded}); }, "expanded");
}

TEST(FaultsParameters, Row41ParametersWithoutElementsAreFine) {
  const auto w = leaf({4, 3}, 1), empty = leaf({0, 3}, 2), also_empty = leaf({0}, 3);
  const auto x = randn({5, 3}, 3);
  expect_dense_step({empty, w, also_empty}, [&] {
    return x.mm(torch::cat({w, empty}).t()).tanh();
  });
}

TEST(FaultsParameters, Row41NoParametersThrow) {
  expect_error([] { NaturalGradient(Parameters{}); }, "no parameters");
}

TEST(FaultsParameters, Row41AllParametersFrozenThrows) {
  Training training;
  const auto loss = training.loss(0);
  for (auto& p : training.parameters()) p.requires_grad_(false);
  const Snapshot before(training.parameters(), training.model.ptr(), training.optimizer.get());
  expect_error([&] { training.optimizer->step(loss); }, "requires_grad_(true)");
  before.expect_unchanged();
}

TEST(FaultsParameters, Row42SparseGradientsThrow) {
  const auto table = leaf({7, 4}, 1);
  const auto words = torch::tensor({3, 0, 3});
  NaturalGradient optimizer(Parameters{table});
  const Snapshot before({table}, nullptr, &optimizer);
  const auto step = [&] {
    optimizer.step(loss_of(torch::embedding(table, words, -1, false, /*sparse=*/true)));
  };
  expect_error(step, "parse");  // Sparse, sparse(false)
  before.expect_unchanged();
}

TEST(FaultsParameters, Row42OtherNumbersThrow) {
  for (const auto type : {torch::kHalf, torch::kBFloat16, torch::kComplexDouble}) {
    const auto parameter = torch::zeros({3}, type).requires_grad_();
    expect_error([&] { NaturalGradient(Parameters{parameter}); }, "float32 or float64");
  }
}

TEST(FaultsParameters, Row42SparseParametersThrow) {
  const auto sparse = torch::eye(3, torch::kDouble).to_sparse().requires_grad_();
  expect_error([&] { NaturalGradient(Parameters{sparse}); }, "dense");
}

TEST(FaultsParameters, Row43MixedDtypesThrow) {
  const auto single = torch::ones({2}).requires_grad_();
  expect_error([&] { NaturalGradient(Parameters{leaf({3}, 1), single}); }, "one dtype");
}

TEST(FaultsParameters, Row43MixedDevicesThrow) {
  const auto elsewhere =
      torch::empty({2}, torch::TensorOptions(torch::kDouble).device(torch::kMeta)).requires_grad_();
  expect_error([&] { NaturalGradient(Parameters{leaf({3}, 1), elsewhere}); }, "one device");
}

TEST(FaultsParameters, Row43MixedDtypesOfALaterGroupThrow) {
  NaturalGradient optimizer(Parameters{leaf({3}, 1)});
  EXPECT_THROW(optimizer.add_param_group(Parameters{torch::ones({2}).requires_grad_()}),
               c10::Error);
}

TEST(FaultsParameters, Row45ScalarParametersAreFine) {
  const auto scale = leaf({}, 1), shift = leaf({}, 2);
  const auto x = randn({5, 3}, 3);
  expect_dense_step({scale, shift}, [&] { return (scale * x + shift).tanh(); });
}

TEST(FaultsParameters, Row45OneScalarParameterIsFine) {
  const auto scale = leaf({}, 1);
  const auto x = randn({5, 3}, 3);
  expect_dense_step({scale}, [&] { return scale * x; });
}

}  // namespace
}  // namespace natgrad::testing::faults_parameters_test
