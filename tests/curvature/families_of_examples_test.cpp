#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/graph/per_example_gradients.h>

#include "support/likelihood_families.h"

// What is asked of single examples, of every family of the table: its outputs are the parameters
// themselves, so that each example's gradient is its own entries of the whole.

namespace natgrad::testing::families_of_examples_test {
namespace {

// Sums of a few numbers in double.
constexpr double kRounding = 1e-12;

struct FamiliesOfExamples : ::testing::TestWithParam<LikelihoodCase> {
  const Tensor w = GetParam().outputs.clone().requires_grad_();
  const Tensor z = w.clone();
  const Tensor y = GetParam().make()->sample(seeded(1));
  const LossGraph graph{nll(GetParam().family.make(z), y), {w}};
  const int64_t examples = GetParam().make()->examples();

  /// ∇h with all but one example's entries set to zero, for each.
  Tensor expected_rows() const {
    const auto gradient = graph.gradient().view(w.sizes());
    auto rows = torch::zeros({examples, w.numel()}, torch::kDouble);
    for (int64_t i = 0; i < examples; ++i) {
      rows[i].view(w.sizes())[i].copy_(gradient[i]);
    }
    return rows;
  }
};

TEST_P(FamiliesOfExamples, HaveAGradientForEach) {
  EXPECT_LT(relative_error(per_example_gradients(graph), expected_rows()), kRounding);
}

TEST_P(FamiliesOfExamples, HaveAnEmpiricalFisherMatrix) {
  const auto rows = expected_rows();  // sᵢ gᵢ with sᵢ = 1/N
  const auto expected = static_cast<double>(examples) * rows.t().mm(rows);
  EXPECT_LT(relative_error(dense(empirical_fisher(graph)), expected), kRounding);
  const auto factor = empirical_fisher_rows(graph);
  EXPECT_LT(relative_error(factor.t().mm(factor), expected), kRounding);
}

TEST_P(FamiliesOfExamples, CanBeDrawnForTheFisherMatrix) {
  const auto draw = dense(monte_carlo_fisher(graph, 2, seeded(2)));
  const auto fisher_matrix = dense(fisher(graph));
  EXPECT_TRUE(all_finite(draw));
  // Nothing where the Fisher matrix has nothing: other examples do not mix.
  const auto number = torch::arange(examples).repeat_interleave(w.numel() / examples);
  const auto same = number.unsqueeze(0).eq(number.unsqueeze(1)).to(torch::kDouble);
  EXPECT_EQ((draw * (1 - same)).abs().max().item<double>(), 0);
  EXPECT_EQ((fisher_matrix * (1 - same)).abs().max().item<double>(), 0);
}

std::vector<LikelihoodCase> cases_with_examples_first() {
  std::vector<LikelihoodCase> chosen;
  for (const auto& c : likelihood_cases()) {
    if (c.outputs.dim() > 0 && c.make()->example_dim() == 0) chosen.push_back(c);
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Families, FamiliesOfExamples,
                         ::testing::ValuesIn(cases_with_examples_first()), likelihood_case_name);

}  // namespace
}  // namespace natgrad::testing::families_of_examples_test
