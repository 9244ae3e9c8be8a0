#pragma once

// The one table of curvatures. Adding one is adding its line here: every test that is
// parameterised over `curvature_options` then holds it to every property.

#include <natgrad/curvature/block_diagonal.h>
#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/curvature/tonga.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace natgrad::testing {

struct CurvatureOption {
  std::string name;
  std::shared_ptr<const Curvature> curvature;
  bool is_semidefinite = true;
  /// Whether each call of `at` is another draw.
  bool is_random = false;
  /// The curvature whose trace the noise is, if it is another one.
  std::shared_ptr<const Curvature> noise_of = nullptr;
};

inline std::ostream& operator<<(std::ostream& out, const CurvatureOption& option) {
  return out << option.name;
}

inline std::vector<CurvatureOption> curvature_options() {
  const auto of = [](const Curvature& curvature) { return curvature.clone(); };
  return {
      {"Fisher", of(Fisher())},
      {"FisherUniform", of(Fisher().weights(FisherWeights::Uniform))},
      {"FisherRows", of(FisherRows())},
      {"GaussNewton", of(GaussNewton())},
      {"FisherOrGaussNewton", of(FisherOrGaussNewton())},
      {"ClassicalGaussNewton", of(ClassicalGaussNewton())},
      {"MonteCarloFisher", of(MonteCarloFisher(3)), true, true, of(Fisher())},
      {"EmpiricalFisher", of(EmpiricalFisher())},
      {"EmpiricalFisherCentred", of(EmpiricalFisher().moment(Moment::Centred))},
      {"EmpiricalFisherUniform", of(EmpiricalFisher().weights(FisherWeights::Uniform))},
      {"EmpiricalFisherOfSoftTargets",
       of(EmpiricalFisher().soft_targets(SoftTargets::Distribution))},
      {"ScoreRows", of(ScoreRows())},
      {"ScoreRowsOrFisher", of(ScoreRowsOrFisher())},
      {"GradientRows", of(GradientRows())},
      {"Tonga", of(Tonga())},
      {"TongaOfRankTwo", of(Tonga().rank(2)), true, false, of(Tonga())},
      {"Hessian", of(Hessian()), false},
      {"ParameterScales", of(ParameterScales())},
      {"BlockDiagonalFisher", of(BlockDiagonal(Fisher()))},
      {"BlockDiagonalHessian", of(BlockDiagonal(Hessian())), false},
  };
}

}  // namespace natgrad::testing
