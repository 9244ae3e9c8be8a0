// Every field of the options and of their parts at and beyond its range: it is refused when it is
// given, with a sentence, or steps work.

#include <gtest/gtest.h>
#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "fuzz/steps.h"
#include "fuzz/watch.h"
#include "support/oracles.h"

namespace natgrad::testing::options_fuzz_test {
namespace {

namespace F = torch::nn::functional;
using O = NaturalGradientOptions;

template <class Value>
struct Field {
  const char* name;
  O (*with)(Value value);
};

/// Two steps with the same closure.
std::string failure_of_options(const std::function<O()>& make) {
  auto W = (0.5 * randn({3, 2}, 1)).requires_grad_(), V = (0.5 * randn({3, 3}, 2)).requires_grad_();
  const auto x = randn({6, 2}, 3), y = torch::tensor({0, 1, 2, 0, 1, 2});
  std::unique_ptr<NaturalGradient> optimizer;
  try {
    optimizer = std::make_unique<NaturalGradient>(std::vector<Tensor>{W, V}, make());
  } catch (const std::exception& error) {
    return fuzz::fault_of(error);
  }
  try {
    for (int step = 0; step < 2; ++step) {
      optimizer->step([&] { return F::cross_entropy(x.mm(W.t()).tanh().mm(V.t()), y); });
    }
  } catch (const c10::Error& error) {
    return std::string("taken, but a step throws: ") + error.what_without_backtrace();
  } catch (const std::exception& error) {
    return std::string("taken, but a step throws: ") + error.what();
  }
  return all_finite(W) && all_finite(V) ? "" : "parameters are no longer finite";
}

template <class Value>
void expect_refused_or_working(const std::vector<Field<Value>>& fields,
                               const std::vector<Value>& values) {
  const fuzz::Quiet quiet;
  for (const auto& field : fields) {
    for (const auto value : values) {
      EXPECT_EQ(failure_of_options([&] { return field.with(value); }), "")
          << field.name << " = " << value;
    }
  }
}

O krylov(const KrylovSubspace& solver) { return presets::krylov_subspace_descent().solver(solver); }

O in_region(const TrustRegion& region) {
  return O(1.0).damping(region).solver(SteihaugConjugateGradient());
}

O judged(const LevenbergMarquardt& damping) { return O(1.0).damping(damping); }

const std::vector<Field<double>>& numbers() {
  static const std::vector<Field<double>> fields = {
      {"lr", [](double v) { return O(v); }},
      {"lr of the default rule", [](double v) { return O().lr(v); }},
      {"weight_decay", [](double v) { return O().weight_decay(v); }},
      {"warm_start", [](double v) { return presets::hessian_free().warm_start(v); }},
      {"max_gradient_norm", [](double v) { return O().max_gradient_norm(v); }},
      {"max_step_norm", [](double v) { return O().max_step_norm(v); }},
      {"natural_gradient", [](double v) { return presets::natural_gradient(v); }},
      {"hessian_free", [](double v) { return presets::hessian_free(v); }},
      {"kfac", [](double v) { return presets::kfac(v); }},
      {"HeldOutRate.largest", [](double v) { return O().step_rule(HeldOutRate().largest(v)); }},
      {"AdaptiveRate.initial",
       [](double v) { return O(1.0).step_rule(AdaptiveRate().initial(v)); }},
      {"AdaptiveRate.alpha", [](double v) { return O(1.0).step_rule(AdaptiveRate().alpha(v)); }},
      {"AdaptiveRate.beta", [](double v) { return O(1.0).step_rule(AdaptiveRate().beta(v)); }},
      {"AdaptiveRate.least_loss",
       [](double v) { return O(1.0).step_rule(AdaptiveRate().least_loss(v)); }},
      {"AdaptiveRate.largest",
       [](double v) { return O(1.0).step_rule(AdaptiveRate().largest(v)); }},
      {"InverseTime", [](double v) { return O(1.0).step_rule(InverseTime(v)); }},
      {"KLConstrained",
       [](double v) { return O(1.0).damping(Tikhonov(0.1)).step_rule(KLConstrained(v)); }},
      {"LineSearch.shrink",
       [](double v) { return presets::hessian_free().step_rule(LineSearch().shrink(v)); }},
      {"LineSearch.sufficient_decrease",
       [](double v) {
         return presets::hessian_free().step_rule(LineSearch().sufficient_decrease(v));
       }},
      {"SubspaceMinimisation.floor",
       [](double v) {
         return presets::krylov_subspace_descent().step_rule(SubspaceMinimisation().floor(v));
       }},
      {"Tikhonov", [](double v) { return O(1.0).damping(Tikhonov(v)); }},
      {"Proximal.momentum", [](double v) { return O().damping(Proximal().momentum(v)); }},
      {"Proximal.memory_doubling",
       [](double v) { return O().damping(Proximal().memory_doubling(v)); }},
      {"Proximal.noise_decay", [](double v) { return O().damping(Proximal().noise_decay(v)); }},
      {"Proximal.noise_floor", [](double v) { return O().damping(Proximal().noise_floor(v)); }},
      {"Proximal.fixed_lambda", [](double v) { return O().damping(Proximal().fixed_lambda(v)); }},
      {"LevenbergMarquardt.initial",
       [](double v) { return judged(LevenbergMarquardt().initial(v)); }},
      {"LevenbergMarquardt.raise", [](double v) { return judged(LevenbergMarquardt().raise(v)); }},
      {"LevenbergMarquardt.lower", [](double v) { return judged(LevenbergMarquardt().lower(v)); }},
      {"LevenbergMarquardt.poor", [](double v) { return judged(LevenbergMarquardt().poor(v)); }},
      {"LevenbergMarquardt.good", [](double v) { return judged(LevenbergMarquardt().good(v)); }},
      {"LevenbergMarquardt.least", [](double v) { return judged(LevenbergMarquardt().least(v)); }},
      {"LevenbergMarquardt.largest",
       [](double v) { return judged(LevenbergMarquardt().largest(v)); }},
      {"TrustRegion.initial", [](double v) { return in_region(TrustRegion().initial(v)); }},
      {"TrustRegion.shrink", [](double v) { return in_region(TrustRegion().shrink(v)); }},
      {"TrustRegion.grow", [](double v) { return in_region(TrustRegion().grow(v)); }},
      {"TrustRegion.poor", [](double v) { return in_region(TrustRegion().poor(v)); }},
      {"TrustRegion.good", [](double v) { return in_region(TrustRegion().good(v)); }},
      {"TrustRegion.least", [](double v) { return in_region(TrustRegion().least(v)); }},
      {"TrustRegion.largest", [](double v) { return in_region(TrustRegion().largest(v)); }},
      {"Dual.tolerance", [](double v) { return O().solver(Dual().tolerance(v)); }},
      {"SteihaugConjugateGradient.radius",
       [](double v) {
         return O(1.0).damping(Tikhonov(0.1)).solver(SteihaugConjugateGradient().radius(v));
       }},
      {"SteihaugConjugateGradient.tolerance",
       [](double v) {
         return in_region(TrustRegion()).solver(SteihaugConjugateGradient().tolerance(v));
       }},
      {"KrylovSubspace.floor", [](double v) { return krylov(KrylovSubspace().floor(v)); }},
      {"KrylovSubspace.tolerance", [](double v) { return krylov(KrylovSubspace().tolerance(v)); }},
      {"ConjugateGradient.tolerance",
       [](double v) { return O().solver(ConjugateGradient().tolerance(v)); }},
      {"ConjugateGradient.relative_progress",
       [](double v) { return O().solver(ConjugateGradient().relative_progress(v)); }},
      {"ConjugateGradient.snapshot_growth",
       [](double v) { return O().solver(ConjugateGradient().snapshot_growth(v)); }},
      {"FisherDiagonal.exponent",
       [](double v) {
         return presets::hessian_free().preconditioner(FisherDiagonal().exponent(v));
       }},
      {"PropagatedDiagonal.exponent",
       [](double v) {
         return presets::hessian_free().preconditioner(PropagatedDiagonal().exponent(v));
       }},
      {"KroneckerFactored.decay",
       [](double v) { return presets::kfac().preconditioner(KroneckerFactored().decay(v)); }},
      {"KroneckerOptions.share",
       [](double v) {
         return presets::kfac().preconditioner(
             KroneckerFactored().factors(KroneckerOptions().share(v)));
       }},
      {"MarquardtDiagonal.floor",
       [](double v) {
         return O(1.0)
             .damping(Tikhonov(0.1))
             .solver(ConjugateGradient())
             .damping_matrix(MarquardtDiagonal().floor(v));
       }},
  };
  return fields;
}

const std::vector<Field<int64_t>>& counts() {
  static const std::vector<Field<int64_t>> fields = {
      {"curvature_chunks", [](int64_t v) { return O().curvature_chunks(v); }},
      {"examples", [](int64_t v) { return O().examples(v); }},
      {"seed", [](int64_t v) { return O().seed(static_cast<uint64_t>(v)); }},
      {"krylov_subspace_descent", [](int64_t v) { return presets::krylov_subspace_descent(v); }},
      {"LineSearch.max_trials",
       [](int64_t v) { return presets::hessian_free().step_rule(LineSearch().max_trials(v)); }},
      {"SubspaceMinimisation.max_iterations",
       [](int64_t v) {
         return presets::krylov_subspace_descent().step_rule(
             SubspaceMinimisation().max_iterations(v));
       }},
      {"SubspaceMinimisation.max_evaluations",
       [](int64_t v) {
         return presets::krylov_subspace_descent().step_rule(
             SubspaceMinimisation().max_evaluations(v));
       }},
      {"LevenbergMarquardt.interval",
       [](int64_t v) { return judged(LevenbergMarquardt().interval(v)); }},
      {"DualOrConjugateGradient.limit",
       [](int64_t v) { return O().solver(DualOrConjugateGradient().limit(v)); }},
      {"Dual.refinements", [](int64_t v) { return O().solver(Dual().refinements(v)); }},
      {"SteihaugConjugateGradient.max_iterations",
       [](int64_t v) {
         return in_region(TrustRegion()).solver(SteihaugConjugateGradient().max_iterations(v));
       }},
      {"ConjugateGradient.max_iterations",
       [](int64_t v) { return O().solver(ConjugateGradient().max_iterations(v)); }},
      {"ConjugateGradient.check_interval",
       [](int64_t v) { return O().solver(ConjugateGradient().check_interval(v)); }},
      {"KroneckerFactored.factor_interval",
       [](int64_t v) {
         return presets::kfac().preconditioner(KroneckerFactored().factor_interval(v));
       }},
      {"KroneckerFactored.inverse_interval",
       [](int64_t v) {
         return presets::kfac().preconditioner(KroneckerFactored().inverse_interval(v));
       }},
      {"KroneckerOptions.largest",
       [](int64_t v) {
         return presets::kfac().preconditioner(
             KroneckerFactored().factors(KroneckerOptions().largest(v)));
       }},
      {"LowRank.rank",
       [](int64_t v) { return presets::hessian_free().preconditioner(LowRank().rank(v)); }},
      {"Tonga.rank", [](int64_t v) { return O().curvature(Tonga().rank(v)); }},
  };
  return fields;
}

/// How often something is done: as many as one asks for.
const std::vector<Field<int64_t>>& repetitions() {
  static const std::vector<Field<int64_t>> fields = {
      {"MonteCarloFisher", [](int64_t v) { return O().curvature(MonteCarloFisher(v)); }},
      {"KroneckerOptions.samples",
       [](int64_t v) {
         return presets::kfac().preconditioner(
             KroneckerFactored().factors(KroneckerOptions().samples(v)));
       }},
      {"PropagatedDiagonal.probes",
       [](int64_t v) {
         return presets::hessian_free().preconditioner(PropagatedDiagonal().probes(v));
       }},
      {"MarquardtDiagonal.probes",
       [](int64_t v) {
         return O(1.0)
             .damping(Tikhonov(0.1))
             .solver(ConjugateGradient())
             .damping_matrix(MarquardtDiagonal().probes(v));
       }},
      // Of matrices formed in memory: the test's is of 15 rows.
      {"Cholesky.limit",
       [](int64_t v) { return O().solver(Cholesky().limit(v < 1 ? v : v + 15)); }},
      {"Direct.limit", [](int64_t v) { return O().solver(Direct().limit(v < 1 ? v : v + 15)); }},
      {"Dual.limit", [](int64_t v) { return O().solver(Dual().limit(v < 1 ? v : v + 15)); }},
  };
  return fields;
}

TEST(FuzzOptions, NumbersAreRefusedOrWork) {
  using Limits = std::numeric_limits<double>;
  expect_refused_or_working<double>(
      numbers(),
      {0, -0., 1, -1, 0.5, 2, 1e-3, 1e-300, Limits::denorm_min(), -1e-300, 1e10, Limits::max(),
       -Limits::max(), Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()});
}

TEST(FuzzOptions, CountsAreRefusedOrWork) {
  using Limits = std::numeric_limits<int64_t>;
  expect_refused_or_working<int64_t>(
      counts(), {0, 1, 2, -1, 7, int64_t(1) << 31, int64_t(1) << 53, Limits::max(), Limits::min()});
}

TEST(FuzzOptions, RepetitionsAreRefusedOrWork) {
  expect_refused_or_working<int64_t>(repetitions(),
                                     {0, 1, 2, -1, 100, std::numeric_limits<int64_t>::min()});
}

}  // namespace
}  // namespace natgrad::testing::options_fuzz_test
