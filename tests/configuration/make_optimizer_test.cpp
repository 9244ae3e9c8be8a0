// A configuration against the same optimizer constructed in C++.

#include <natgrad/configuration.h>
#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>
#include <torch/script.h>

#include "support/curvature_options.h"
#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/part_options.h"

namespace natgrad::testing::make_optimizer_test {
namespace {

namespace F = torch::nn::functional;
using OptimizerPtr = std::unique_ptr<torch::optim::Optimizer>;

struct Problem {
  std::vector<Tensor> parameters = {(0.5 * randn({3, 4}, 1)).requires_grad_(),
                                    (0.5 * randn({3}, 2)).requires_grad_()};
  Tensor inputs = randn({6, 4}, 3), labels = torch::tensor({0, 1, 2, 1, 0, 2});

  Tensor loss() const {
    return F::cross_entropy(torch::addmm(parameters[1], inputs, parameters[0].t()), labels);
  }
};

std::string system_of(const torch::optim::Optimizer& optimizer) {
  const auto& options = optimizer.param_groups().at(0).options();
  return dynamic_cast<const NaturalGradientOptions&>(options).describe_system();
}

std::string system_of(const std::string& json) {
  return system_of(*make_optimizer(Problem().parameters, json));
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

std::string error_of(const std::string& json) {
  return error_of([&] { make_optimizer(Problem().parameters, json); });
}

TEST(MakeOptimizer, TakesTheDefaultsOfNatgradAndOfEachPreset) {
  EXPECT_EQ(system_of(R"({"type": "natgrad"})"), NaturalGradientOptions().describe_system());
  EXPECT_EQ(system_of(R"({"type": "natgrad", "lr": 0.3})"),
            NaturalGradientOptions(0.3).describe_system());
  const std::vector<std::pair<std::string, NaturalGradientOptions>> presets = {
      {"natural-gradient", presets::natural_gradient()},
      {"hessian-free", presets::hessian_free()},
      {"krylov-subspace-descent", presets::krylov_subspace_descent()},
      {"kfac", presets::kfac()},
      {"least-squares", presets::least_squares()},
      {"stochastic-reconfiguration", presets::stochastic_reconfiguration()},
      {"spring", presets::spring()}};
  for (const auto& [name, options] : presets) {
    const auto made = make_optimizer(Problem().parameters, R"({"type": "natgrad-)" + name + "\"}");
    EXPECT_EQ(system_of(*made), options.describe_system()) << name;
    EXPECT_EQ(made->param_groups()[0].options().get_lr(), options.lr()) << name;
  }
}

TEST(MakeOptimizer, TakesThePresetsArgumentsAndOptionsBesideThem) {
  EXPECT_EQ(system_of(R"({"type": "natgrad-hessian-free", "lambda": 3})"),
            presets::hessian_free(3).describe_system());
  EXPECT_EQ(system_of(R"({"type": "natgrad-kfac", "lambda": 5, "seed": 9})"),
            presets::kfac(5).seed(9).describe_system());
  EXPECT_EQ(system_of(R"({"type": "natgrad-krylov-subspace-descent", "dimension": 7})"),
            presets::krylov_subspace_descent(7).describe_system());
  EXPECT_EQ(system_of(R"({"type": "natgrad-spring", "lr": 0.2, "shift": 0.03, "momentum": 0.5,
                          "memory_doubling": 80})"),
            presets::spring(0.2, 0.03, 0.5, 80).describe_system());
  EXPECT_EQ(system_of(R"({"type": "natgrad-stochastic-reconfiguration", "shift": 0.03})"),
            presets::stochastic_reconfiguration(0.05, 0.03).describe_system());
}

TEST(MakeOptimizer, SetsEveryOptionOfTheOptimizer) {
  const auto made = make_optimizer(Problem().parameters, R"({"type": "natgrad", "lr": 0.2,
      "weight_decay": 0.01, "maximize": true, "fill_grad": true, "warm_start": 0.5,
      "unread": "Throw", "curvature_chunks": 2, "examples": 12, "max_gradient_norm": 3,
      "max_step_norm": 4, "measure": true, "seed": 5,
      "curvature": "GaussNewton", "solver": "ConjugateGradient",
      "damping": {"type": "Tikhonov", "lambda": 0.1}})");
  const auto expected = NaturalGradientOptions(0.2)
                            .weight_decay(0.01)
                            .maximize(true)
                            .fill_grad(true)
                            .warm_start(0.5)
                            .unread(Unread::Throw)
                            .curvature_chunks(2)
                            .examples(12)
                            .max_gradient_norm(3)
                            .max_step_norm(4)
                            .measure(true)
                            .seed(5)
                            .curvature(GaussNewton())
                            .solver(ConjugateGradient())
                            .damping(Tikhonov(0.1));
  const auto& options =
      dynamic_cast<const NaturalGradientOptions&>(made->param_groups()[0].options());
  EXPECT_TRUE(options.same_system(expected)) << options.describe_system() << "\n"
                                             << expected.describe_system();
  EXPECT_EQ(options.lr(), 0.2);
  EXPECT_EQ(options.weight_decay(), 0.01);
}

// A part with other settings than its defaults, in JSON and in C++.
struct PartCase {
  std::string name, json;
  NaturalGradientOptions expected;
};

std::ostream& operator<<(std::ostream& out, const PartCase& part) { return out << part.name; }

std::vector<PartCase> part_cases() {
  const auto base = [] { return NaturalGradientOptions().damping(Tikhonov(0.5)); };
  const std::string tikhonov = R"("damping": {"type": "Tikhonov", "lambda": 0.5}, )";
  const auto fisher_diagonal = [&] { return base().preconditioner(FisherDiagonal().exponent(1)); };
  return {
      {"EmpiricalFisher",
       tikhonov +
           R"("curvature": {"type": "EmpiricalFisher", "moment": "Centred", "weights": "Uniform"})",
       base().curvature(EmpiricalFisher().moment(Moment::Centred).weights(FisherWeights::Uniform))},
      {"MonteCarloFisher", tikhonov + R"("curvature": {"type": "MonteCarloFisher", "samples": 4})",
       base().curvature(MonteCarloFisher(4))},
      {"Tonga", tikhonov + R"("curvature": {"type": "Tonga", "rank": 3, "moment": "Centred"})",
       base().curvature(Tonga().rank(3).moment(Moment::Centred))},
      {"BlockDiagonal", tikhonov + R"("curvature": {"type": "BlockDiagonal", "of": "Fisher"})",
       base().curvature(BlockDiagonal(Fisher()))},
      {"ConjugateGradient",
       tikhonov + R"("solver": {"type": "ConjugateGradient", "max_iterations": 7,
                     "tolerance": 0.1, "relative_progress": 5e-4, "check_interval": 3,
                     "snapshot_growth": 1.5})",
       base().solver(ConjugateGradient()
                         .max_iterations(7)
                         .tolerance(0.1)
                         .relative_progress(5e-4)
                         .check_interval(3)
                         .snapshot_growth(1.5))},
      {"DualOrConjugateGradient",
       tikhonov + R"("solver": {"type": "DualOrConjugateGradient", "limit": 9,
                     "iterative": {"max_iterations": 3}})",
       base().solver(DualOrConjugateGradient().limit(9).iterative(
           ConjugateGradient(DualOrConjugateGradient().iterative()).max_iterations(3)))},
      {"Dual",
       tikhonov + R"("solver": {"type": "Dual", "limit": 9, "tolerance": 0.1, "refinements": 1})",
       base().solver(Dual().limit(9).tolerance(0.1).refinements(1))},
      {"KrylovSubspace",
       tikhonov + R"("solver": {"type": "KrylovSubspace", "dimension": 5, "floor": 0.1,
                     "tolerance": 0.01})",
       base().solver(KrylovSubspace().dimension(5).floor(0.1).tolerance(0.01))},
      {"Cholesky", tikhonov + R"("solver": {"type": "Cholesky", "limit": 50})",
       base().solver(Cholesky().limit(50))},
      {"QR", tikhonov + R"("solver": {"type": "QR", "limit": 50})", base().solver(QR().limit(50))},
      {"Direct", tikhonov + R"("solver": {"type": "Direct", "limit": 50})",
       base().solver(Direct().limit(50))},
      {"TrustRegion",
       R"("solver": {"type": "SteihaugConjugateGradient", "radius": 2, "max_iterations": 4,
          "tolerance": 0.1},
          "damping": {"type": "TrustRegion", "initial": 2, "shrink": 0.5, "grow": 3, "poor": 0.1,
          "good": 0.9, "least": 1e-5, "largest": 100})",
       NaturalGradientOptions()
           .solver(SteihaugConjugateGradient().radius(2).max_iterations(4).tolerance(0.1))
           .damping(
               TrustRegion().initial(2).shrink(0.5).grow(3).poor(0.1).good(0.9).least(1e-5).largest(
                   100))},
      {"Proximal",
       R"("damping": {"type": "Proximal", "momentum": 0.5, "memory_doubling": 9,
          "noise_decay": 0.8, "noise_floor": 0.01, "fixed_lambda": 2})",
       NaturalGradientOptions().damping(Proximal()
                                            .momentum(0.5)
                                            .memory_doubling(9)
                                            .noise_decay(0.8)
                                            .noise_floor(0.01)
                                            .fixed_lambda(2.))},
      {"LevenbergMarquardt",
       R"("damping": {"type": "LevenbergMarquardt", "initial": 2, "raise": 3, "lower": 0.5,
          "poor": 0.1, "good": 0.8, "interval": 5, "least": 1e-5, "largest": 100,
          "hindsight": false})",
       NaturalGradientOptions().damping(LevenbergMarquardt()
                                            .initial(2)
                                            .raise(3)
                                            .lower(0.5)
                                            .poor(0.1)
                                            .good(0.8)
                                            .interval(5)
                                            .least(1e-5)
                                            .largest(100))},
      {"Nielsen",
       R"("damping": {"type": "Nielsen", "initial": 2, "cap": 9, "tries": 4, "least": 1e-5,
          "largest": 100})",
       NaturalGradientOptions().damping(
           Nielsen().initial(2).cap(9).tries(4).least(1e-5).largest(100))},
      {"MarquardtDiagonal",
       tikhonov + R"("damping_matrix": {"type": "MarquardtDiagonal", "probes": 3, "exact": false,
                     "floor": 0.01}, "solver": "ConjugateGradient")",
       base()
           .damping_matrix(MarquardtDiagonal().probes(3).floor(0.01))
           .solver(ConjugateGradient())},
      {"StructuralDamping",
       tikhonov + R"("damping_matrix": {"type": "StructuralDamping", "mu": 0.2},
                     "solver": "ConjugateGradient")",
       base().damping_matrix(StructuralDamping(0.2)).solver(ConjugateGradient())},
      {"CurvatureMatrix",
       tikhonov + R"("damping_matrix": {"type": "CurvatureMatrix", "of": "ParameterScales"},
                     "solver": "ConjugateGradient")",
       base().damping_matrix(ParameterScales()).solver(ConjugateGradient())},
      {"FisherDiagonal",
       tikhonov + R"("solver": "ConjugateGradient", "preconditioner": {"type": "FisherDiagonal",
                     "exponent": 1})",
       fisher_diagonal().solver(ConjugateGradient())},
      {"PropagatedDiagonal", tikhonov + R"("solver": "ConjugateGradient", "preconditioner": {"type":
                     "PropagatedDiagonal", "exponent": 1, "probes": 3, "weights": "Uniform"})",
       base()
           .solver(ConjugateGradient())
           .preconditioner(
               PropagatedDiagonal().exponent(1).probes(3).weights(FisherWeights::Uniform))},
      {"LowRank", tikhonov + R"("solver": "ConjugateGradient", "preconditioner": {"type": "LowRank",
                     "rank": 3, "moment": "Centred"})",
       base()
           .solver(ConjugateGradient())
           .preconditioner(LowRank().rank(3).moment(Moment::Centred))},
      {"KroneckerFactored", tikhonov + R"("solver": {"type": "ApproximateInverse", "check": true},
                     "preconditioner": {"type": "KroneckerFactored", "decay": 0.5,
                     "factor_interval": 2, "inverse_interval": 4,
                     "factors": {"samples": 2, "share": 0.5, "largest": 9}})",
       base()
           .solver(ApproximateInverse().check(true))
           .preconditioner(
               KroneckerFactored().decay(0.5).factor_interval(2).inverse_interval(4).factors(
                   KroneckerOptions().samples(2).share(0.5).largest(9)))},
      {"AdaptiveRate",
       tikhonov + R"("step_rule": {"type": "AdaptiveRate", "initial": 0.2, "alpha": 3,
                     "beta": 0.2, "least_loss": 0.1, "largest": 2})",
       base().step_rule(AdaptiveRate().initial(0.2).alpha(3).beta(0.2).least_loss(0.1).largest(2))},
      {"GeodesicAcceleration",
       R"("curvature": "FisherRows", "solver": "QR", "damping": "Nielsen",
          "step_rule": {"type": "GeodesicAcceleration", "limit": 0.5})",
       NaturalGradientOptions()
           .curvature(FisherRows())
           .solver(QR())
           .damping(Nielsen())
           .step_rule(GeodesicAcceleration().limit(0.5))},
      {"HeldOutRate", R"("step_rule": {"type": "HeldOutRate", "largest": 0.2})",
       NaturalGradientOptions().step_rule(HeldOutRate().largest(0.2))},
      {"InverseTime", tikhonov + R"("step_rule": {"type": "InverseTime", "c": 2})",
       base().step_rule(InverseTime(2))},
      {"KLConstrained", tikhonov + R"("step_rule": {"type": "KLConstrained", "c": 0.2})",
       base().step_rule(KLConstrained(0.2))},
      {"LineSearch", tikhonov + R"("step_rule": {"type": "LineSearch", "shrink": 0.5,
                     "sufficient_decrease": 0.1, "max_trials": 5, "backtrack": false})",
       base().step_rule(
           LineSearch().shrink(0.5).sufficient_decrease(0.1).max_trials(5).backtrack(false))},
      {"QuadraticModelStep",
       tikhonov + R"("step_rule": {"type": "QuadraticModelStep", "momentum": false,
                     "whole_batch": true, "fitted": true})",
       base().step_rule(QuadraticModelStep().momentum(false).whole_batch(true).fitted(true))},
      {"SubspaceMinimisation",
       tikhonov + R"("solver": "KrylovSubspace", "step_rule": {"type": "SubspaceMinimisation",
                     "floor": 0.1, "max_iterations": 3, "max_evaluations": 4})",
       base()
           .solver(KrylovSubspace())
           .step_rule(SubspaceMinimisation().floor(0.1).max_iterations(3).max_evaluations(4))},
  };
}

class ConfiguredPart : public ::testing::TestWithParam<PartCase> {};

TEST_P(ConfiguredPart, IsThatOfTheSameSettingsInCpp) {
  const auto system = system_of(R"({"type": "natgrad", )" + GetParam().json + "}");
  EXPECT_EQ(system, GetParam().expected.describe_system());
  EXPECT_NE(system, NaturalGradientOptions().describe_system());
}

INSTANTIATE_TEST_SUITE_P(All, ConfiguredPart, ::testing::ValuesIn(part_cases()),
                         [](const auto& info) { return info.param.name; });

/// A configuration lists what it knows, where it is asked for a part of no such name.
void expect_known(const std::string& kind, const std::string& description) {
  const auto known = error_of(R"({"type": "natgrad", ")" + kind + R"(": "none"})");
  const auto name = description.substr(0, description.find('('));
  EXPECT_TRUE(says(known, " " + name + ",") || says(known, " " + name + "."))
      << name << " is missing in: " << known;
}

template <class Part>
void expect_all_known(const std::string& kind, const std::vector<Named<Part>>& table) {
  for (const auto& option : table) {
    if (option.part) expect_known(kind, option.name);
  }
}

TEST(MakeOptimizer, KnowsEveryPartOfTheTables) {
  for (const auto& option : curvature_options()) {
    expect_known("curvature", option.curvature->describe());
  }
  expect_all_known("solver", solvers());
  expect_all_known("damping", dampings());
  expect_all_known("damping_matrix", matrices());
  expect_all_known("preconditioner", preconditioners());
  expect_all_known("step_rule", rules());
}

TEST(MakeOptimizer, RefusesWhatItDoesNotKnowAndListsWhatItDoes) {
  const auto has = [](const std::string& json, const std::vector<std::string>& parts) {
    const auto error = error_of(json);
    for (const auto& part : parts) EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  has("nonsense", {"JSON", "nonsense"});
  has("[1]", {"the optimizer is a name, or an object", "[1]"});
  has("{}", {"needs \"type\""});
  has(R"({"type": 3})", {"\"type\" of the optimizer is a text, but got 3"});
  has(R"({"type": "adan"})", {"\"adan\"", "adam", "natgrad-kfac", "sgd"});
  has(R"({"type": "natgrad", "learning_rate": 1})", {"\"learning_rate\"", "lr", "weight_decay"});
  has(R"({"type": "natgrad", "lr": "fast"})", {"\"lr\"", "a number", "fast"});
  has(R"({"type": "natgrad", "seed": -1})", {"\"seed\"", "0 or more", "-1"});
  has(R"({"type": "natgrad", "examples": 1.5})", {"\"examples\"", "whole number", "1.5"});
  has(R"({"type": "natgrad", "solver": {"type": "ConjugateGradient", "iterations": 3}})",
      {"the solver of the optimizer", "\"iterations\"", "max_iterations"});
  has(R"({"type": "natgrad", "solver": "CG"})", {"the solver", "\"CG\"", "ConjugateGradient"});
  has(R"({"type": "natgrad", "damping": "Tikhonov"})", {"the damping", "\"lambda\""});
  has(R"({"type": "natgrad", "unread": "Ignore"})", {"\"Substitute\", \"Throw\"", "Ignore"});
  has(R"({"type": "adam", "betas": [0.9]})", {"\"betas\"", "two numbers"});
  has(R"({"type": "adam", "betas": 0.9})", {"\"betas\"", "a list"});
  has(R"({"type": "sgd"})", {"\"lr\""});
  // What the optimizer's own constructor refuses.
  has(R"({"type": "natgrad", "weight_decay": -1})", {"weight_decay"});
  has(R"({"type": "natgrad", "solver": "SteihaugConjugateGradient"})", {"Steihaug"});
}

/// Parameters after three steps by the configuration, and by an optimizer made in C++.
template <class Optimizer, class Options>
void expect_same_course(const std::string& json, const Options& options) {
  Problem configured, plain;
  const auto optimizer = make_optimizer(configured.parameters, json);
  Optimizer other(plain.parameters, options);
  for (int k = 0; k < 3; ++k) {
    step(*optimizer, [&] { return configured.loss(); });
    other.step([&] {
      other.zero_grad();
      auto loss = plain.loss();
      loss.backward();
      return loss;
    });
  }
  EXPECT_TRUE(torch::equal(flat(configured.parameters), flat(plain.parameters))) << json;
  EXPECT_FALSE(torch::equal(flat(plain.parameters), flat(Problem().parameters)));
}

TEST(MakeOptimizer, PassesLibTorchsOptimizersThrough) {
  using namespace torch::optim;
  expect_same_course<Adam>(
      R"({"type": "adam", "lr": 0.1, "betas": [0.5, 0.6], "eps": 0.01, "weight_decay": 0.1,
          "amsgrad": true})",
      AdamOptions(0.1).betas({0.5, 0.6}).eps(0.01).weight_decay(0.1).amsgrad(true));
  expect_same_course<AdamW>(R"({"type": "adamw", "lr": 0.1, "weight_decay": 0.3})",
                            AdamWOptions(0.1).weight_decay(0.3));
  expect_same_course<SGD>(
      R"({"type": "sgd", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.1, "nesterov": true})",
      SGDOptions(0.1).momentum(0.5).weight_decay(0.1).nesterov(true));
  expect_same_course<SGD>(R"({"type": "sgd", "lr": 0.1, "momentum": 0.5, "dampening": 0.2})",
                          SGDOptions(0.1).momentum(0.5).dampening(0.2));
  expect_same_course<RMSprop>(
      R"({"type": "rmsprop", "lr": 0.1, "alpha": 0.5, "eps": 0.01, "weight_decay": 0.1,
          "momentum": 0.5, "centered": true})",
      RMSpropOptions(0.1).alpha(0.5).eps(0.01).weight_decay(0.1).momentum(0.5).centered(true));
  expect_same_course<Adagrad>(
      R"({"type": "adagrad", "lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1,
          "initial_accumulator_value": 0.2, "eps": 0.01})",
      AdagradOptions(0.1).lr_decay(0.5).weight_decay(0.1).initial_accumulator_value(0.2).eps(0.01));
  expect_same_course<LBFGS>(
      R"({"type": "lbfgs", "lr": 0.5, "max_iter": 3, "max_eval": 6, "tolerance_grad": 1e-3,
          "tolerance_change": 1e-4, "history_size": 2, "line_search_fn": "strong_wolfe"})",
      LBFGSOptions(0.5)
          .max_iter(3)
          .max_eval(6)
          .tolerance_grad(1e-3)
          .tolerance_change(1e-4)
          .history_size(2)
          .line_search_fn("strong_wolfe"));
}

TEST(MakeOptimizer, StepsOnAPlainLossOrAClosureAlike) {
  for (const char* json : {R"({"type": "natgrad"})", R"({"type": "adam"})"}) {
    Problem by_loss, by_closure;
    const auto one = make_optimizer(by_loss.parameters, json);
    const auto other = make_optimizer(by_closure.parameters, json);
    for (int k = 0; k < 3; ++k) {
      const auto h = step(*one, by_loss.loss());
      const auto h_of_closure = step(*other, [&] { return by_closure.loss(); });
      EXPECT_TRUE(torch::equal(h, h_of_closure));
      EXPECT_FALSE(h.requires_grad() || h_of_closure.requires_grad());
    }
    EXPECT_TRUE(torch::equal(flat(by_loss.parameters), flat(by_closure.parameters))) << json;
    EXPECT_FALSE(torch::equal(flat(by_loss.parameters), flat(Problem().parameters))) << json;
  }
  Problem problem;
  const auto lbfgs = make_optimizer(problem.parameters, R"({"type": "lbfgs"})");
  EXPECT_NE(error_of([&] { step(*lbfgs, problem.loss()); }).find("closure"), std::string::npos);
}

TEST(MakeOptimizer, TakesGroupsAndModels) {
  Problem problem;
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<Tensor>{problem.parameters[0]},
                      std::make_unique<torch::optim::AdamOptions>(0.5));
  groups.emplace_back(std::vector<Tensor>{problem.parameters[1]});
  const auto adam = make_optimizer(groups, R"({"type": "adam", "lr": 0.25})");
  EXPECT_EQ(adam->param_groups()[0].options().get_lr(), 0.5);
  EXPECT_EQ(adam->param_groups()[1].options().get_lr(), 0.25);

  const auto module = torch::nn::Sequential(torch::nn::Linear(4, 3)).ptr();
  const auto of_module = make_optimizer(module, R"({"type": "natgrad"})");
  const auto& options =
      dynamic_cast<const NaturalGradientOptions&>(of_module->param_groups()[0].options());
  EXPECT_EQ(options.module(), module);
  EXPECT_EQ(of_module->param_groups()[0].params().size(), 2);

  torch::jit::Module scripted("net");
  scripted.register_parameter("w", torch::randn({3}), /*is_buffer=*/false);
  const auto of_script = make_optimizer(scripted, R"({"type": "natgrad"})");
  const auto& named =
      dynamic_cast<const NaturalGradientOptions&>(of_script->param_groups()[0].options());
  EXPECT_NE(named.scripted_module(), nullptr);
  EXPECT_EQ(of_script->param_groups()[0].params().size(), 1);
  EXPECT_NE(
      error_of([] { make_optimizer(std::shared_ptr<torch::nn::Module>(), "{}"); }).find("null"),
      std::string::npos);
}

}  // namespace
}  // namespace natgrad::testing::make_optimizer_test
