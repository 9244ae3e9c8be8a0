// The Fisher information matrix and the generalized Gauss-Newton matrix are one, where the
// network's outputs are the natural parameters of an exponential family (J. Martens, "New
// perspectives on the natural gradient method", section 8): softmax, Bernoulli and Gaussian
// outputs. Here the same matrix is computed by four routes (support/routes.h) and compared; beside
// it are the matrices that are often taken for it and are not. `--help` lists the options.

#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "support/command_line.h"
#include "support/comparisons.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/picture.h"
#include "support/routes.h"

using examples::Problem, examples::relative_difference;
using torch::Tensor;

namespace {

struct Options {
  uint64_t seed = 0;
  int64_t examples = 6;
  std::string output = "fisher_equals_ggn";
};

/// What was found: comparisons, and the matrices of one case to draw.
struct Findings {
  std::vector<examples::Comparison> comparisons;
  std::vector<examples::Picture> pictures;

  void must_be_equal(const Problem& of, const std::string& left, const Tensor& a,
                     const std::string& right, const Tensor& b) {
    comparisons.push_back({of.model().name(), left, right, true, relative_difference(a, b)});
  }
  void must_differ(const Problem& of, const std::string& left, const Tensor& a,
                   const std::string& right, const Tensor& b) {
    comparisons.push_back({of.model().name(), left, right, false, relative_difference(a, b)});
  }
};

const std::string kA = "(a) Gauss-Newton", kB = "(b) Jᵀ F_R J", kC = "(c) E[score scoreᵀ]",
                  kD = "(d) -E[Hessian of log r]", kEmpirical = "empirical Fisher",
                  kHessian = "Hessian of the objective", kInside = "G, softmax in the network";

/// With z the natural parameters, log r(y|z) = zᵀT(y) - log Z(z). Its Hessian in z, -∇² log Z(z),
/// has no y in it: H_L is its own expectation, which is F_R, and so Jᵀ H_L J is Jᵀ F_R J.
Tensor compare_natural(const Problem& problem, Findings& findings) {
  const auto a = gauss_newton_matrix(problem), b = closed_fisher_matrix(problem),
             c = expected_score_products(problem), d = minus_expected_hessian(problem);
  findings.must_be_equal(problem, kB, b, kA, a);
  findings.must_be_equal(problem, kC, c, kA, a);
  findings.must_be_equal(problem, kD, d, kA, a);

  // Both know the observed targets, which the Fisher matrix does not: its y are the model's own.
  const auto empirical = empirical_fisher_matrix(problem), hessian = objective_hessian(problem);
  findings.must_differ(problem, kEmpirical, empirical, kA, a);
  findings.must_differ(problem, kHessian, hessian, kA, a);
  if (findings.pictures.empty()) {
    findings.pictures = {
        {kA, a}, {kB, b}, {kC, c}, {kD, d}, {kEmpirical, empirical}, {kHessian, hessian}};
  }
  return a;
}

/// Gauss-Newton depends on where the network ends and the loss begins; the Fisher matrix does not.
/// With softmax in the network, L(y, p) = -log p_y has H_L = e_y e_yᵀ / p_y², one outer product:
/// that of its own gradient in p. So Gauss-Newton is exactly the empirical Fisher matrix.
void compare_softmax_in_the_network(const Problem& problem, const Tensor& fisher,
                                    Findings& findings) {
  const auto inside = gauss_newton_of_probabilities(problem);
  findings.must_be_equal(problem, kInside, inside, kEmpirical, empirical_fisher_matrix(problem));
  findings.must_differ(problem, kInside, inside, kA, fisher);
  findings.pictures.push_back({kInside, inside});
}

/// The same Gaussians by (μ, log σ), which are not natural parameters: routes (b) to (d) still
/// agree, all being the Fisher matrix, but H_L depends on y, and is indefinite unless y = μ.
/// Returns the smallest eigenvalue of Gauss-Newton over the largest.
double compare_log_std(const Problem& problem, Findings& findings) {
  const auto a = gauss_newton_matrix(problem), b = closed_fisher_matrix(problem);
  findings.must_be_equal(problem, kC, expected_score_products(problem), kB, b);
  findings.must_be_equal(problem, kD, minus_expected_hessian(problem), kB, b);
  findings.must_differ(problem, kA, a, kB, b);
  const auto eigenvalues = torch::linalg_eigvalsh(a);
  return (eigenvalues[0] / eigenvalues[-1]).item<double>();
}

Options parse_command_line(int argc, char** argv) {
  CLI::App app("Shows that the Fisher and the Gauss-Newton matrix are one, by four routes.",
               "fisher_equals_ggn");
  app.option_defaults()->always_capture_default();
  Options options;
  examples::add_seed(app, options.seed, "Of the weights and the data");
  app.add_option("--examples", options.examples)->check(CLI::Range(1, 100))->type_name("N");
  examples::add_output(app, options.output);
  examples::parse_or_exit(app, argc, argv);
  return options;
}

/// Throws unless everything came out as theory says.
void run(const Options& options) {
  examples::check_output(options.output);
  torch::manual_seed(options.seed);
  const auto title = fmt::format("networks 3-5-K with tanh units, {} examples, seed {}",
                                 options.examples, options.seed);
  fmt::print("{}\n", title);

  Findings findings;
  const Problem softmax(examples::softmax_outputs(), options.examples);
  const auto fisher = compare_natural(softmax, findings);
  compare_softmax_in_the_network(softmax, fisher, findings);
  for (const auto& model : {examples::bernoulli_outputs(), examples::gaussian_outputs(),
                            examples::natural_gaussian_outputs()}) {
    compare_natural(Problem(model, options.examples), findings);
  }
  const Problem log_std(examples::log_std_gaussian_outputs(), options.examples);
  const double smallest = compare_log_std(log_std, findings);

  print_comparisons(findings.comparisons);
  fmt::print(
      "\nWith (mean, log σ) Gauss-Newton is {}: its smallest eigenvalue is {:.2g} times its "
      "largest.\n",
      smallest < 0 ? "indefinite" : "not indefinite", smallest);
  write_findings(options.output + ".json", title, findings.pictures, findings.comparisons);
  examples::draw_picture("plot_matrices.py", options.output);
  TORCH_CHECK(std::ranges::all_of(findings.comparisons, &examples::Comparison::confirmed),
              "not all came out as theory says; see the table.");
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_command_line(argc, argv);
  return examples::exit_code("fisher_equals_ggn", [&] { run(options); });
}
