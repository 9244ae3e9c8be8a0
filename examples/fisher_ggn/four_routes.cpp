#include "fisher_ggn/four_routes.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include "fisher_ggn/routes.h"

namespace examples {

using torch::Tensor;

namespace {

/// A family's line: each matrix against (a), natgrad's Fisher matrix.
class Line {
 public:
  Line(const Problem& problem, Findings& findings)
      : family_(problem.family()), fisher_(fisher_matrix(problem)), findings_(findings) {}

  /// A matrix's cell.
  void add(const std::string& key, const std::string& name, const Tensor& matrix, bool equal) {
    add(key, name, "(a) Fisher", relative_difference(matrix, fisher_), equal);
  }
  /// Prints a cell, and keeps its number for the JSON.
  void add(const std::string& key, const std::string& left, const std::string& right,
           double difference, bool equal) {
    const auto of = family_.name + ", " + family_.parameters;
    const auto mark =
        equal ? findings_.must_be_equal("families", of, left, right, difference, kEqualMatrices)
              : findings_.must_differ("families", of, left, right, difference);
    fmt::print("{:>13}", mark);
    numbers_[key] = difference;
  }
  const Json& numbers() const { return numbers_; }

 private:
  const Family& family_;
  Tensor fisher_;
  Findings& findings_;
  Json numbers_;
};

/// With z natural, log r(y|z) = zᵀT(y) - log Z(z) + log h(y). Its Hessian in z, -∇² log Z(z), has
/// no y in it: H_L is its own expectation, which is F_R, and so Jᵀ H_L J is Jᵀ F_R J. Elsewhere H_L
/// depends on y, and is F_R on average only; at a kink not even that. The empirical Fisher matrix
/// and the Hessian know the observed targets, which the Fisher matrix does not: its y are the
/// model's own.
Json compare(const Problem& problem, double tamper, Findings& findings) {
  const auto& family = problem.family();
  const bool natural = family.outputs == Outputs::Natural;
  const bool smooth = family.outputs != Outputs::Kinked;
  fmt::print("{:<24}{:<26}", family.name, family.parameters);
  Line line(problem, findings);
  line.add("gauss_newton", "(b) GGN", tamper * gauss_newton_matrix(problem), natural);
  line.add("score_products", "(c) E[score scoreᵀ]", expected_score_products(problem), true);
  line.add("minus_hessian", "(d) -E[∇² log r]", minus_expected_hessian(problem), smooth);
  // A Laplace density's score has but one size: with one output an example it makes no difference
  // which y was seen.
  line.add("empirical", "empirical Fisher", empirical_fisher_matrix(problem), !smooth);
  line.add("hessian", "Hessian", objective_hessian(problem), false);
  // At a kink H_L is zero on either side, whatever y is.
  line.add("condition", "H_L at other y", "H_L", change_with_targets(problem), natural || !smooth);
  fmt::print("\n");
  const char* const kind = natural ? "natural" : smooth ? "not natural" : "kinked";
  Json json = {{"name", family.name}, {"parameters", family.parameters}, {"outputs", kind}};
  json.update(line.numbers());
  return json;
}

/// Route (c) is an expectation only if the chances of all y are one.
void check_total(const Problem& problem) {
  const auto outcomes = outcomes_of(problem.family(), problem.outputs());
  const double error = error_of_total(outcomes, problem.examples());
  TORCH_CHECK(error <= kEqualMatrices, problem.family().name, ": the chances of all y sum to ",
              1 + error, ", not to 1.");
}

}  // namespace

Json compare_families(const Setting& setting, Findings& findings) {
  torch::manual_seed(setting.seed);
  fmt::print(
      "\nEvery family, on a network 3-5-K with tanh units and {} examples: ‖A - F‖/‖F‖ of each "
      "matrix A,\nF by natgrad's closed formula, (a); and condition (5), how far H_L at other y is "
      "from H_L.\nEqual (=) is at most {:.0e}, different (≠) at least {:.0e}; ! is wrong.\n\n",
      setting.examples, kEqualMatrices, Findings::kDifferent);
  fmt::print("{:<24}{:<26}{:>13}{:>13}{:>13}{:>13}{:>13}{:>13}\n", "family", "z", "(b) GGN",
             "(c) E[s sᵀ]", "(d) -E[∇²]", "empirical F", "Hessian", "(5) H_L");
  auto lines = Json::array();
  for (const auto& family : families()) {
    const Problem problem(family, setting.examples);
    check_total(problem);
    lines.push_back(compare(problem, setting.tamper, findings));
  }
  return lines;
}

}  // namespace examples
