// Nine curvatures with every solver, damping, damping matrix, preconditioner and step rule: either
// the options refuse, or the step is the one that explicit matrices give.

#include <natgrad/curvature/curvature.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>

#include <algorithm>
#include <map>

#include "support/curvature_options.h"
#include "support/dense_model.h"
#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/part_options.h"

namespace natgrad::testing::combination_test {
namespace {

namespace F = torch::nn::functional;

// Of a step against the dense one: solves to a residual of 1e-12 on systems of condition < 1e3.
constexpr double kTolerance = 1e-8;
// α of HeldOutRate's first step after Proximal: P (1 - μ) with P = 2t/(t + 30), in units of 0.1.
constexpr double kHeldOut = 2.0 / 31 * 0.05 / 0.1;
constexpr double kRate = 0.5;

/// 3-3-3 with tanh on six examples, 24 parameters.
struct Problem {
  std::vector<Tensor> parameters = {
      (0.5 * randn({3, 3}, 1)).requires_grad_(), (0.5 * randn({3}, 2)).requires_grad_(),
      (0.5 * randn({3, 3}, 3)).requires_grad_(), (0.5 * randn({3}, 4)).requires_grad_()};
  Tensor inputs = randn({6, 3}, 5), labels = torch::tensor({0, 1, 2, 1, 0, 2});

  Tensor loss() const {
    const auto hidden = torch::addmm(parameters[1], inputs, parameters[0].t()).tanh();
    return F::cross_entropy(torch::addmm(parameters[3], hidden, parameters[2].t()), labels);
  }
  LossGraph graph() const { return LossGraph(loss(), parameters, make_generator(0)); }
};

struct Combination {
  Named<Curvature> curvature;
  Named<Solver> solver;
  Named<Damping> damping;
  Named<DampingMatrix> matrix;
  Named<Preconditioner> preconditioner;
  Named<StepRule> rule;

  NaturalGradientOptions options() const {
    NaturalGradientOptions options(kRate);
    options.curvature(*curvature.part).solver(*solver.part).damping(*damping.part);
    options.step_rule(*rule.part);
    if (matrix.part) options.damping_matrix(*matrix.part);
    if (preconditioner.part) options.preconditioner(*preconditioner.part);
    return options;
  }
  bool is(const char* text) const {
    for (const auto& name :
         {solver.name, damping.name, matrix.name, preconditioner.name, rule.name}) {
      if (name.rfind(text, 0) == 0) return true;
    }
    return false;
  }
  /// What a reader of the paper would refuse, said once more in this test's own words.
  bool makes_sense() const {
    const bool inverse = is("ApproximateInverse"),
               iterates = is("Conjugate") || is("DualOrConjugate") || is("Krylov");
    if (is("TrustRegion") && (!is("Steihaug") || is("MarquardtDiagonal"))) return false;
    if (is("Steihaug") && is("Proximal")) return false;
    if (is("SubspaceMinimisation") && !is("KrylovSubspace")) return false;
    if (is("Proximal") && (is("KLConstrained") || is("QuadraticModelStep"))) return false;
    if (is("Proximal") && (is("SubspaceMinimisation") || is("GeodesicAcceleration"))) return false;
    if (is("Nielsen") && (matrix.part || is("Dual(") || inverse)) return false;
    if (inverse && (!preconditioner.part || is("FisherDiagonal") || matrix.part)) return false;
    if (is("Dual(") && matrix.part) return false;
    if (preconditioner.part && !(inverse || iterates || is("Steihaug"))) return false;
    return !(preconditioner.part && (is("Tikhonov(0)") || is("TrustRegion")));
  }
};

/// C, D and ∇h at the start, dense.
struct DenseParts {
  Tensor C, D, g;

  explicit DenseParts(const Combination& of) {
    const auto graph = Problem().graph();
    g = graph.gradient();
    C = dense(of.curvature.part->at(graph).matrix);
    D = of.is("Nielsen") ? torch::where(C.diagonal() > 0, C.diagonal(), 1).diag()
        : of.matrix.part ? dense(of.matrix.part->at(graph))
                         : torch::eye(g.numel(), torch::kDouble);
  }
};

/// Those of a combination, made once for all that share curvature and D: each start is the same.
const DenseParts& dense_parts(const Combination& of) {
  static std::map<std::string, DenseParts> made;
  const auto key = of.curvature.name + of.matrix.name + (of.is("Nielsen") ? "Nielsen" : "");
  return made.try_emplace(key, of).first->second;
}

/// C + λD of the first step.
struct DenseSystem {
  Tensor C, A, g, delta;

  DenseSystem(const Problem& problem, const Combination& of, double lambda)
      : C(dense_parts(of).C), A(C + lambda * dense_parts(of).D), g(dense_parts(of).g) {
    if (of.is("ApproximateInverse")) {
      const auto graph = problem.graph();
      auto M = of.preconditioner.part->clone();
      M->observe(graph, lambda);
      delta = M->at(graph, lambda).multiply(-g);
    } else {
      delta = torch::linalg_solve(A, -g);
    }
  }
};

/// How far each rule goes along the dense solution in a first step.
double expected_rate(const Combination& of, const DenseSystem& dense, const Problem& problem) {
  const auto& [C, A, g, delta] = dense;
  if (of.is("KLConstrained")) {
    return kRate * std::sqrt(2 * kDivergence / -g.dot(delta).item<double>());
  }
  if (of.is("HeldOutRate") && of.is("Proximal")) return kRate * kHeldOut;
  if (of.is("QuadraticModelStep")) {
    return kRate * -(g.dot(delta) / delta.dot(A.mv(delta))).item<double>();
  }
  if (of.is("AdaptiveRate")) {
    auto rule = of.rule.part->clone();
    const auto one = torch::ones({1}, torch::kDouble);
    const Solution solution{one, {}};
    const auto matrix = natgrad::diagonal_operator(one);
    return kRate * rule->choose({problem.loss().item<double>(),
                                 one,
                                 matrix,
                                 solution,
                                 {},
                                 [](const Tensor& v) { return v; },
                                 unasked_model()})
                       .displacement.item<double>();
  }
  return kRate;
}

/// The smallest eigenvalue of the system, relative to the largest: below, C is singular and a dense
/// solve has no meaning.
bool is_definite(const Tensor& A) {
  const auto values = torch::linalg_eigvalsh(A);
  return values[0].item<double>() > 1e-3 * values[-1].item<double>();
}

/// A rejected step is one along which h, at the dense solution, does not fall.
void expect_no_better(Problem problem, const Combination& of, const DenseSystem& dense) {
  EXPECT_TRUE(of.damping.part->needs_ratio() || of.is("GeodesicAcceleration"));
  const double before = problem.loss().item<double>();
  const double rate = expected_rate(of, dense, problem);
  ParameterLayout(problem.parameters)
      .assign(flat(problem.parameters).detach() + rate * dense.delta);
  EXPECT_GE(problem.loss().item<double>(), before);
}

bool has_root(const Combination& of) {
  static std::map<std::string, bool> known;
  const auto [found, is_new] = known.try_emplace(of.curvature.name);
  if (is_new) {
    found->second = of.curvature.part->at(Problem().graph()).matrix.root_form().has_value();
  }
  return found->second;
}

void expect_the_dense_step(const Combination& of) {
  Problem problem;
  NaturalGradient optimizer(problem.parameters, of.options());
  const auto before = flat(problem.parameters).detach().clone();
  const Problem start;
  try {
    optimizer.step([&] { return problem.loss(); });
  } catch (const c10::Error& error) {
    // Only whether a curvature has a root, and λ > 0, is not known before the first step.
    const bool no_dual = of.is("Dual(") && (!has_root(of) || of.is("Tikhonov(0)"));
    const bool singular = of.curvature.name == "Tonga" && of.is("Tikhonov(0)");
    EXPECT_TRUE(no_dual || singular) << error.what_without_backtrace();
    return;
  }
  const auto& report = optimizer.summary();
  if (report.outcome != StepOutcome::Accepted) {
    EXPECT_TRUE(torch::equal(flat(problem.parameters), before)) << report.message();
  }
  const DenseSystem dense(start, of, report.lambda);
  if (!of.is("ApproximateInverse") && !is_definite(dense.A)) return;
  if (report.outcome == StepOutcome::Rejected) return expect_no_better(start, of, dense);
  ASSERT_EQ(report.outcome, StepOutcome::Accepted) << report.message();
  const auto moved = flat(problem.parameters).detach() - before;
  if (of.is("SubspaceMinimisation")) {
    // No closed form: the loss ends below that of the model's own minimiser.
    EXPECT_LT(problem.loss().item<double>(), start.loss().item<double>());
    return;
  }
  double rate = expected_rate(of, dense, start);
  if (of.is("LineSearch")) {
    // Along the solution, at one of the rates 0.8ᵏ, and Armijo's condition holds there.
    const double beta = (moved.norm() / (rate * dense.delta).norm()).item<double>();
    const double k = std::log(beta) / std::log(0.8);
    EXPECT_NEAR(k, std::round(k), 1e-6);
    EXPECT_LE(problem.loss().item<double>(),
              start.loss().item<double>() + 1e-2 * dense.g.dot(moved).item<double>());
    rate *= beta;
  }
  EXPECT_LE(relative_error(moved, rate * dense.delta), kTolerance);
}

/// Parts that are others by another name unless R is at hand, Cholesky() and LearningRate(): these
/// are taken with `FisherRows` alone.
template <class Part>
std::vector<Named<Part>> without_those_of_rows(std::vector<Named<Part>> parts) {
  std::erase_if(parts, [](const Named<Part>& part) {
    return part.name.starts_with("QR(") || part.name.starts_with("GeodesicAcceleration(");
  });
  return parts;
}

std::vector<Combination> combinations_of(const CurvatureOption& curvature) {
  const bool has_rows = curvature.name == "FisherRows";
  const auto taken_rules = has_rows ? rules() : without_those_of_rows(rules());
  const auto taken_solvers = has_rows ? solvers() : without_those_of_rows(solvers());
  std::vector<Combination> all;
  for (const auto& solver : taken_solvers) {
    for (const auto& damping : dampings()) {
      for (const auto& matrix : matrices()) {
        for (const auto& preconditioner : preconditioners()) {
          for (const auto& rule : taken_rules) {
            all.push_back({{curvature.name, curvature.curvature},
                           solver,
                           damping,
                           matrix,
                           preconditioner,
                           rule});
          }
        }
      }
    }
  }
  return all;
}

std::vector<CurvatureOption> curvatures() {
  const std::vector<std::string> taken = {
      "Fisher", "FisherRows", "GaussNewton",       "MonteCarloFisher", "EmpiricalFisher",
      "Tonga",  "Hessian",    "ScoreRowsOrFisher", "ParameterScales"};
  std::vector<CurvatureOption> options;
  for (const auto& option : curvature_options()) {
    if (std::find(taken.begin(), taken.end(), option.name) != taken.end()) {
      options.push_back(option);
    }
  }
  return options;
}

class CombinationTest : public ::testing::TestWithParam<CurvatureOption> {};

TEST_P(CombinationTest, RefusesAtConstructionOrTakesTheDenseStep) {
  int64_t steps = 0, refusals = 0;
  for (const auto& of : combinations_of(GetParam())) {
    SCOPED_TRACE(of.options().describe_system());
    if (of.makes_sense()) {
      expect_the_dense_step(of);
      ++steps;
    } else {
      const Problem problem;
      EXPECT_THROW(NaturalGradient(problem.parameters, of.options()), c10::Error);
      ++refusals;
    }
    if (HasFailure()) return;  // one is enough to read
  }
  EXPECT_GT(steps, 100);
  EXPECT_GT(refusals, 100);
}

INSTANTIATE_TEST_SUITE_P(Curvatures, CombinationTest, ::testing::ValuesIn(curvatures()),
                         [](const auto& info) { return info.param.name; });

void expect_refusal(const NaturalGradientOptions& options, const std::string& needle) {
  const Problem problem;
  expect_error([&] { NaturalGradient(problem.parameters, options); }, needle);
}

TEST(CombinationRefusalTest, SaysWhyAndWhatToDo) {
  const auto options = [] { return NaturalGradientOptions(); };
  expect_refusal(options().damping(TrustRegion()), "SteihaugConjugateGradient()");
  expect_refusal(options()
                     .damping(TrustRegion())
                     .solver(SteihaugConjugateGradient())
                     .damping_matrix(MarquardtDiagonal()),
                 "LevenbergMarquardt()");
  expect_refusal(options().solver(SteihaugConjugateGradient()), "lies around zero");
  expect_refusal(options().step_rule(QuadraticModelStep()), "centres it on the last step");
  expect_refusal(options().step_rule(SubspaceMinimisation()).damping(Tikhonov(1)),
                 "KrylovSubspace()");
  expect_refusal(options().solver(ApproximateInverse()).damping(Tikhonov(1)),
                 ".preconditioner(natgrad::KroneckerFactored())");
  expect_refusal(
      options().solver(ApproximateInverse()).damping(Tikhonov(1)).preconditioner(FisherDiagonal()),
      "exponent to 1");
  expect_refusal(options().solver(Cholesky()).preconditioner(FisherDiagonal()),
                 "Leave the preconditioner out");
  expect_refusal(options().preconditioner(FisherDiagonal()).damping(Tikhonov(0)), "λ = 0");
  expect_refusal(options().solver(Dual()).damping(Tikhonov(1)).damping_matrix(MarquardtDiagonal()),
                 "damping matrix other than I");
  expect_refusal(options().warm_start(0.5), "whose centre is where the solver starts");
  expect_refusal(options().warm_start(0.5).damping(Tikhonov(1)).solver(Cholesky()),
                 "is not used by");
  expect_refusal(options().warm_start(0.5).damping(Tikhonov(1)).step_rule(QuadraticModelStep()),
                 "Leave warm_start at 0");
}

TEST(CombinationRefusalTest, TrialsNeedAClosure) {
  Problem problem;
  NaturalGradient optimizer(problem.parameters,
                            NaturalGradientOptions().damping(LevenbergMarquardt()));
  expect_error([&] { optimizer.step(problem.loss()); }, "Call step(closure)");
}

}  // namespace
}  // namespace natgrad::testing::combination_test
