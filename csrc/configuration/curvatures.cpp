#include <natgrad/curvature/block_diagonal.h>
#include <natgrad/curvature/centred_rows.h>
#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/curvature/structural_damping.h>
#include <natgrad/curvature/tonga.h>

#include "configuration/parts.h"

namespace natgrad::detail {

namespace {

PartPtr<Curvature> block_diagonal(Settings& settings) {
  settings.require("of");
  return BlockDiagonal(*find_part(settings, "of", curvature_makers())).clone();
}

PartPtr<DampingMatrix> curvature_matrix(Settings& settings) {
  settings.require("of");
  return CurvatureMatrix(*find_part(settings, "of", curvature_makers())).clone();
}

PartPtr<DampingMatrix> structural_damping(Settings& settings) {
  return settings.has("mu") ? StructuralDamping(settings.get("mu", 0.)).clone()
                            : StructuralDamping().clone();
}

}  // namespace

const Makers<PartPtr<Curvature>>& curvature_makers() {
  static const Makers<PartPtr<Curvature>> makers = {
      {"BlockDiagonal", block_diagonal},
      {"CentredRows", maker<CentredRows, Curvature>()},
      {"ClassicalGaussNewton", maker<ClassicalGaussNewton, Curvature>()},
      {"EmpiricalFisher", maker<EmpiricalFisher, Curvature>([](Settings& s, EmpiricalFisher& part) {
         read_moment(s, part);
         read_weights(s, part);
         s.choose("soft_targets",
                  {{"Mean", SoftTargets::Mean}, {"Distribution", SoftTargets::Distribution}},
                  part.soft_targets());
       })},
      {"Fisher", maker<Fisher, Curvature>(read_weights<Fisher>)},
      {"FisherOrGaussNewton", maker<FisherOrGaussNewton, Curvature>()},
      {"FisherRows", maker<FisherRows, Curvature>()},
      {"GaussNewton", maker<GaussNewton, Curvature>()},
      {"GradientRows", maker<GradientRows, Curvature>()},
      {"Hessian", maker<Hessian, Curvature>()},
      {"MonteCarloFisher",
       maker<MonteCarloFisher, Curvature>([](Settings& s, MonteCarloFisher& part) {
         s.read("samples", part.samples());
         read_weights(s, part);
       })},
      {"ParameterScales", maker<ParameterScales, Curvature>()},
      {"ScoreRows", maker<ScoreRows, Curvature>()},
      {"ScoreRowsOrFisher", maker<ScoreRowsOrFisher, Curvature>()},
      {"Tonga", maker<Tonga, Curvature>([](Settings& s, Tonga& part) {
         read_moment(s, part);
         read_weights(s, part);
         s.read("rank", part.rank());
       })}};
  return makers;
}

const Makers<PartPtr<DampingMatrix>>& damping_matrix_makers() {
  static const Makers<PartPtr<DampingMatrix>> makers = {
      {"CurvatureMatrix", curvature_matrix},
      {"MarquardtDiagonal",
       maker<MarquardtDiagonal, DampingMatrix>([](Settings& s, MarquardtDiagonal& part) {
         s.read("probes", part.probes());
         s.read("exact", part.exact());
         s.read("floor", part.floor());
       })},
      {"StructuralDamping", structural_damping}};
  return makers;
}

}  // namespace natgrad::detail
