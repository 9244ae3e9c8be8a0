#include "fuzz/check.h"

#include <fmt/format.h>
#include <natgrad/curvatures.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>
#include <string_view>

#include "fuzz/network_ops.h"
#include "fuzz/oracle.h"
#include "fuzz/steps.h"
#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::fuzz {
namespace {

// Double precision through a dozen ops, with residuals that cancel.
constexpr double kTolerance = 1e-9;
// Of matrices that vanish but for rounding, of parameters and values about 1.
constexpr double kNothing = 1e-20;
// Of what the products' parts are made of: below it a result is rounding.
constexpr double kCancelled = 1e-6;

/// A case on its way through the checks; stops at the first failure.
class Check {
 public:
  Check(const Case& the_case, Tally* tally) : case_(the_case), tally_(tally), plain_(the_case) {}

  std::string run() {
    const auto plain_loss = plain_.loss(Form::Plain);
    oracle_ = oracle_of(plain_, plain_loss);
    Program given = plain_;
    const auto loss = given.loss(Form::Given);
    if (oracle_.is_finite && relative_error(loss, plain_loss) > kTolerance) {
      return "the case's two forms are not of one loss";
    }
    compare_matrices(given, loss);
    compare_penalties(given, loss);
    if (failure_.empty()) check_graph_is_intact(given, loss);
    if (failure_.empty()) failure_ = failure_of_steps(case_, plain_, tally_);
    return failure_;
  }

 private:
  void count(const std::string& what) const {
    if (tally_) ++(*tally_)[what];
  }

  /// Passes over what natgrad refuses.
  template <class Call>
  bool answers(const std::string& what, Call&& call) {
    if (!failure_.empty()) return false;
    try {
      call();
      return true;
    } catch (const std::exception& error) {
      failure_ = fault_of(error);
      if (!failure_.empty()) failure_ = what + ": " + failure_;
    }
    count(what + " refused");
    return false;
  }

  void compare(const std::string& what, const Tensor& actual, const Tensor& expected,
               double size_of_v) {
    if (!failure_.empty() || !oracle_.is_finite || !all_finite(expected)) return;
    if (!all_finite(actual) && has_logcumsumexp()) return count(what + " not finite");
    count(what + " compared");
    const auto size =
        std::max(expected.norm().item<double>(), kCancelled * oracle_.scale * size_of_v);
    const auto error = (actual - expected).norm().item<double>();
    if (error <= std::max(kTolerance * size, kNothing)) return;
    failure_ = fmt::format("{} is off by {:.2g} of {:.2g}", what, error, size);
  }

  using Matrix = LinearOperator (*)(const LossGraph&);

  /// Products with a block of columns, by the library and by the reference.
  void compare_products(const std::string& what, const Tensor& loss, Terms terms, Matrix matrix,
                        const std::function<Tensor(const Tensor& V)>& reference) {
    Tensor product;
    const auto V = randn({oracle_.gradient.numel(), 3}, case_.seed + 11);
    const bool answered = answers(what, [&] {
      const LossGraph graph(loss, parameters(), RandomStreams(), terms);
      product = matrix(graph).multiply(V);
      if (terms == Terms::Required) graph.verify();
    });
    if (answered) compare(what, product, reference(V), V.norm().item<double>());
  }

  void compare_with(const std::string& what, const Tensor& loss, Matrix matrix,
                    const Tensor& expected) {
    compare_products(what, loss, Terms::Required, matrix, [&](const Tensor& V) {
      return expected.defined() && comparable_ ? expected.mm(V) : torch::full_like(V, std::nan(""));
    });
  }

  void compare_matrices(const Program& given, const Tensor& loss) {
    parameters_ = given.parameters();
    const bool is_read = answers("graph", [&] {
      const LossGraph graph(loss, parameters());
      compare("gradient", graph.gradient(), oracle_.gradient, 1);
      comparable_ = is_read_as_written(graph);
    });
    if (is_read && oracle_.must_be_refused && oracle_.is_finite && failure_.empty()) {
      failure_ = "a loss that is no sum of terms was read";
    }
    if (is_read && !comparable_) count("read otherwise");
    compare_with("GaussNewton", loss, gauss_newton, oracle_.gauss_newton);
    compare_with(
        "Fisher", loss, [](const LossGraph& graph) { return fisher(graph); }, oracle_.fisher);
    compare_with(
        "EmpiricalFisher", loss, [](const LossGraph& graph) { return empirical_fisher(graph); },
        oracle_.empirical_fisher);
    compare_with(
        "ScoreRows", loss, [](const LossGraph& graph) { return score_rows(graph); },
        oracle_.score_rows);
    compare_products("Hessian", loss, Terms::WhenAsked, natgrad::hessian, [&](const Tensor& V) {
      std::vector<Tensor> columns;
      for (const auto& v : V.unbind(1)) columns.push_back(oracle_.hessian(v.contiguous()));
      return torch::stack(columns, 1);
    });
  }

  void compare_penalties(const Program& given, const Tensor& loss) {
    const auto& R = given.penalties();
    if (!R.defined() || !R.requires_grad() || !comparable_) return;
    Program plain = plain_;
    const auto whole = plain.loss(Form::Plain);
    const auto of_penalties = oracle_of(plain, plain.penalties()).hessian;
    compare_products("penalties", loss, Terms::Required, penalty_hessian, [&](const Tensor& V) {
      std::vector<Tensor> columns;
      for (const auto& v : V.unbind(1)) columns.push_back(of_penalties(v.contiguous()));
      return torch::stack(columns, 1);
    });
  }

  /// A backward pass of the user's own still goes through.
  void check_graph_is_intact(const Program& given, const Tensor& loss) {
    try {
      const auto trainable = Trainable(given.parameters());
      compare("user's gradient", trainable.rows(loss)[0], oracle_.gradient, 1);
    } catch (const c10::Error& error) {  // as it would without natgrad
      count("user's gradient refused");
    }
  }

  /// Where no gradient arrives its second derivative is NaN, in LibTorch itself: a step then ends
  /// with `SolverFailed`.
  bool has_logcumsumexp() const {
    return std::any_of(case_.steps.begin(), case_.steps.end(), [](const Step& step) {
      return std::string_view(network_ops()[step.op].name) == "logcumsumexp";
    });
  }

  /// A square of parameters is a penalty beside terms, and a term where it is alone; and so is what
  /// a network of one example makes of parameters by elementwise ops.
  bool is_read_as_written(const LossGraph& graph) const {
    const bool may_be_penalty = case_.examples == 1 && graph.has_penalties();
    return (oracle_.has_terms || case_.penalties.empty()) && !may_be_penalty;
  }

  const std::vector<Tensor>& parameters() const { return parameters_; }

  const Case& case_;
  Tally* tally_;
  Program plain_;
  Oracle oracle_;
  std::vector<Tensor> parameters_;
  bool comparable_ = true;
  std::string failure_;
};

}  // namespace

std::string failure_of(const Case& the_case, Tally* tally) {
  try {
    return Check(the_case, tally).run();
  } catch (const std::exception& error) {
    return fmt::format("thrown where nothing should be: {}", error.what());
  }
}

}  // namespace natgrad::testing::fuzz
