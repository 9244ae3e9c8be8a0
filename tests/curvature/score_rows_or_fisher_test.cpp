// The default's choice: score rows where they fit and are cheap, else the exact matrix, and why.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::score_rows_or_fisher_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double in another order.
constexpr double kRounding = 1e-11;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor ce(const Tensor& z) { return F::cross_entropy(z, labels()); }

/// A Categorical of somebody's own who has not said how to solve with its Fisher matrix.
class OwnCategorical final : public Likelihood {
 public:
  explicit OwnCategorical(const Tensor& z) : Likelihood(z), known_(z) {}
  std::string describe() const override { return "OwnCategorical()"; }
  int64_t outputs_per_observation() const override { return known_.outputs_per_observation(); }
  Tensor fisher_multiply(const Tensor& v) const override { return known_.fisher_multiply(v); }
  Tensor factor_multiply(const Tensor& r) const override { return known_.factor_multiply(r); }
  Tensor sample(std::optional<at::Generator> g) const override { return known_.sample(g); }
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const Tensor& y) const override { known_.check_targets(y); }
  Tensor align(const Tensor& v) const override { return known_.align(v); }

 private:
  Tensor compute_log_prob(const Tensor& y) const override { return known_.log_prob(y); }
  Tensor compute_score(const Tensor& y) const override { return known_.score(y); }
  Categorical known_;
};

/// A loss over the parameters of a network, and what the default says of it.
struct Choice {
  std::string name;
  std::string reason;
  std::function<Tensor(const Network& network)> loss;
  std::function<Network()> make = tanh_network;
};

void PrintTo(const Choice& choice, std::ostream* out) { *out << choice.name; }

/// One whose z is [4, 6] of rows in an order of their own.
Network turned_over() {
  const auto w = parameter({5, 3}, 1), v = parameter({kOutputs, 5}, 2);
  return {{w, v}, [=] {
            const auto h = torch::linear(randn({kExamples, 3}, 3), w).tanh().flip(0);
            return torch::linear(h, v).flip(0);
          }};
}

Network normalised_by_the_batch() {
  const auto w = parameter({kOutputs, 3}, 4);
  return {{w}, [=] {
            const auto z = torch::linear(randn({kExamples, 3}, 5), w);
            return torch::batch_norm(z, {}, {}, {}, {}, /*training=*/true, 0.1, 1e-5, false);
          }};
}

Network embedded_by_a_computed_table() {
  const auto table = parameter({7, 4}, 6), v = parameter({kOutputs, 4}, 7);
  return {{table, v}, [=] {
            return torch::linear(torch::embedding(table.tanh(), torch::tensor({0, 3, 3, 6})), v);
          }};
}

std::vector<Choice> unfit() {
  const auto on_z = [](auto loss) { return [=](const Network& n) { return loss(n.forward()); }; };
  return {
      {"OnesOwn", "the loss is one of your own",
       on_z([](const Tensor& z) { return natgrad::outputs(z).cosh().log().mean(); })},
      {"ManyObservationsOfTwoTerms", "4 examples hold 24 observations",
       on_z([](const Tensor& z) { return ce(z) + F::mse_loss(z, torch::zeros_like(z)); })},
      {"FiveTerms", "4 examples hold 20 observations",
       on_z([](const Tensor& z) { return ce(z) + ce(2 * z) + ce(3 * z) + ce(4 * z) + ce(5 * z); })},
      {"Penalties", "the loss has penalties",
       [](const Network& n) { return ce(n.forward()) + 0.1 * n.parameters[0].square().sum(); }},
      {"SeveralObservations", "4 examples hold 24 observations", on_z([](const Tensor& z) {
         return F::binary_cross_entropy_with_logits(z, torch::zeros_like(z));
       })},
      {"ClassesFirst", "the examples are not in dimension 0 of the outputs",
       on_z([](const Tensor& z) {
         return nll(Categorical(z, 0), torch::tensor({0, 3, 1, 1, 2, 0}));
       })},
      {"ASolveThatNobodyKnows", "OwnCategorical() does not say how to solve",
       on_z([](const Tensor& z) { return nll(OwnCategorical(z), labels()); })},
      {"ExamplesThatDepend", "NativeBatchNormBackward0 in training mode couples the examples",
       on_z(ce), normalised_by_the_batch},
      {"AParameterOutsideLayers", "parameter 0 takes part in ops that natgrad knows no rows of",
       on_z(ce), embedded_by_a_computed_table},
      {"RowsInAnotherOrder", "parameter 1 takes part in ops that natgrad knows no rows of",
       on_z(ce), turned_over},
  };
}

struct Unfit : ::testing::TestWithParam<Choice> {
  Network network = GetParam().make();
  Tensor loss = GetParam().loss(network);
};

TEST_P(Unfit, TakesTheExactMatrix) {
  const LossGraph graph(loss, network.parameters);
  const auto chosen = ScoreRowsOrFisher().at(graph);
  const auto exact = FisherOrGaussNewton().at(graph);
  EXPECT_LT(relative_error(dense(chosen.matrix), dense(exact.matrix)), kRounding);
  EXPECT_TRUE(identical(chosen.noise(seeded(8)), exact.noise(seeded(8))));
  EXPECT_FALSE(chosen.targets.defined());
}

TEST_P(Unfit, SaysWhyInTheSummary) {
  NaturalGradient optimizer(network.parameters);
  optimizer.step(loss);
  const auto& said = optimizer.summary().curvature;
  EXPECT_EQ(said.rfind("the exact matrix; no score rows: " + GetParam().reason, 0), 0) << said;
  EXPECT_NE(optimizer.summary().message().find(said), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Reasons, Unfit, ::testing::ValuesIn(unfit()), ByName());

// ---- Where they fit. ----

struct Fit : ::testing::TestWithParam<Choice> {};

std::vector<Choice> fit() {
  return {{"Classes", "", [](auto& n) { return ce(n.forward()); }},
          {"OneOutput", "",
           [](auto& n) {
             return F::mse_loss(n.forward().select(1, 0), torch::zeros({4}, torch::kDouble));
           }},
          {"OnePixel", "", [](auto& n) {
             const auto z = n.forward().narrow(1, 0, 1);
             return F::binary_cross_entropy_with_logits(z, torch::zeros_like(z));
           }}};
}

TEST_P(Fit, TakesScoreRowsThatTellTheGradient) {
  const auto network = tanh_network();
  const auto loss = GetParam().loss(network);
  const LossGraph graph(loss, network.parameters);
  const auto chosen = ScoreRowsOrFisher().at(graph);
  EXPECT_EQ(chosen.choice, "score rows");
  EXPECT_TRUE(identical(dense(chosen.matrix), dense(ScoreRows().at(graph).matrix)));
  const auto& root = *chosen.matrix.root_form()->root;
  EXPECT_LT(relative_error(-root.multiply_transposed(chosen.targets),
                           gradient_of(loss, network.parameters)),
            kRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, Fit, ::testing::ValuesIn(fit()), ByName());

/// Two time steps to a square layer of so many units, and a mean over them.
std::string choice_for(int64_t examples, int64_t units) {
  const auto w = torch::zeros({units, units}, torch::kFloat).requires_grad_();
  const auto x = torch::ones({examples, 2, units});
  const auto z = torch::linear(x, w).mean(1).narrow(1, 0, 3);
  const auto y = torch::zeros({examples}, torch::kLong);
  return ScoreRowsOrFisher().at(LossGraph(F::cross_entropy(z, y), {w})).choice;
}

TEST(ScoreRowsOrFisherTest, RowsOfTimeStepsAreBoundedByTheirNumbers) {
  // 2^25 in all: 32 examples of 2^20.
  EXPECT_EQ(choice_for(32, 1024), "score rows");
  EXPECT_EQ(choice_for(33, 1024),
            "the exact matrix; no score rows: the gradients of 33 single examples are 34603008 "
            "numbers");
}

// Rows of [65, 5000·128] would be more than 2^25 numbers, but only 65 rows of the table are
// touched.
TEST(ScoreRowsOrFisherTest, RowsOfALargeTableAreThoseThatAreTouched) {
  constexpr int64_t kExamplesOfTable = 65;
  const auto table = torch::zeros({5000, 128}, torch::kFloat).requires_grad_();
  const auto z = torch::embedding(table, 70 * torch::arange(kExamplesOfTable)).narrow(1, 0, 3);
  const auto y = torch::zeros({kExamplesOfTable}, torch::kLong);
  EXPECT_EQ(ScoreRowsOrFisher().at(LossGraph(F::cross_entropy(z, y), {table})).choice,
            "score rows");
}

TEST(ScoreRowsOrFisherTest, ALossThatCannotBeReadIsRefusedIfThatIsAsked) {
  const auto network = tanh_network();
  NaturalGradient optimizer(network.parameters, NaturalGradientOptions().unread(Unread::Throw));
  expect_error([&] { optimizer.step(ce(network.forward()).tanh()); }, "natgrad::outputs");
}

TEST(ScoreRowsOrFisherTest, OtherCurvaturesHaveNothingToSay) {
  const auto network = tanh_network();
  NaturalGradient optimizer(network.parameters,
                            NaturalGradientOptions().curvature(FisherOrGaussNewton()));
  optimizer.step(ce(network.forward()));
  EXPECT_EQ(optimizer.summary().curvature, "");
}

}  // namespace
}  // namespace natgrad::testing::score_rows_or_fisher_test
