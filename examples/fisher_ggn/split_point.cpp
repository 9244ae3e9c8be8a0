#include "fisher_ggn/split_point.h"

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <torch/torch.h>

#include "fisher_ggn/routes.h"
#include "support/derivatives.h"

namespace examples {

namespace F = torch::nn::functional;
using torch::Tensor;

namespace {

/// Matrices of a softmax network under targets t, [N, K]: the cross-entropy is -Σ tₖ log pₖ.
class SplitPoint {
 public:
  SplitPoint(const Problem& problem, double tamper)
      : problem_(problem), tamper_(tamper), fisher_(fisher_matrix(problem)) {}

  const Tensor& fisher() const { return fisher_; }
  Tensor probabilities() const { return torch::softmax(problem_.outputs(), 1); }
  Tensor one_hot() const {
    return torch::one_hot(problem_.targets(), problem_.family().width).to(torch::kDouble);
  }

  /// z are the logits: H_L = diag(p) - p pᵀ, whatever t is.
  Tensor before_softmax(const Tensor& t) const {
    return tamper_ * ggn_of(F::cross_entropy(problem_.outputs(), t));
  }
  /// z are the probabilities: H_L = diag(t/p²). With t one-hot that is one outer product, of the
  /// loss's own gradient in p.
  Tensor after_softmax(const Tensor& t) const {
    const auto p = natgrad::outputs(probabilities());
    return tamper_ * ggn_of(-(t * p.log()).sum(1).mean());
  }
  /// (1/N) Σ gₙ gₙᵀ, gₙ = ∇(-Σ tₖ log pₖ).
  Tensor empirical_fisher(const Tensor& t) const {
    const auto loss = (t * probabilities().log()).sum(1);
    return score_products(loss, torch::ones_like(loss).detach(), problem_.parameters()) / t.size(0);
  }
  /// (1/N) Σ E_{y ~ t}[∇log p_y ∇log p_yᵀ]: with t = p the Fisher matrix.
  Tensor score_products_under(const Tensor& t) const {
    return score_products(probabilities().log().flatten(), t.flatten(), problem_.parameters()) /
           t.size(0);
  }
  /// The Fisher matrix from the probabilities as outputs, F_R = E[e_y e_yᵀ/p_y²] = diag(1/p).
  Tensor fisher_from_probabilities() const {
    const auto p = probabilities();
    const auto J = jacobian_of(p, problem_.parameters());
    return J.t().matmul(J / p.detach().flatten().unsqueeze(1)) / p.size(0);
  }
  /// ‖A - B‖/‖F‖: also where B vanishes.
  double distance(const Tensor& a, const Tensor& b) const {
    return ((a - b).norm() / fisher_.norm()).item<double>();
  }

 private:
  Tensor ggn_of(const Tensor& loss) const {
    return natgrad::dense(natgrad::gauss_newton(natgrad::LossGraph(loss, problem_.parameters())));
  }

  const Problem& problem_;
  double tamper_;
  Tensor fisher_;
};

/// What theory says of the GGN with softmax in the network: which matrices it equals.
struct Targets {
  std::string name;
  Tensor t;
  bool one_hot, own;
};

std::vector<Targets> targets_of(const SplitPoint& split) {
  const auto hot = split.one_hot(), p = split.probabilities().detach();
  const double classes = static_cast<double>(p.size(1));
  return {{"one-hot", hot, true, false},
          {"smoothed by 0.1", 0.9 * hot + 0.1 / classes, false, false},
          {"half the model's own", 0.5 * hot + 0.5 * p, false, false},
          {"the model's own", p, false, true}};
}

/// A line of the table.
Json compare(const SplitPoint& split, const Targets& targets, Findings& findings) {
  const auto& t = targets.t;
  const auto before = split.before_softmax(t), after = split.after_softmax(t);
  Json json = {{"targets", targets.name}};
  fmt::print("{:<22}", targets.name);
  const auto add = [&](const std::string& left, const Tensor& a, const std::string& right,
                       const Tensor& b, bool equal) {
    const double difference = split.distance(a, b);
    const auto mark = equal ? findings.must_be_equal("split", targets.name, left, right, difference,
                                                     kEqualMatrices)
                            : findings.must_differ("split", targets.name, left, right, difference);
    json[left + " to " + right] = difference;
    fmt::print("{:>21}", mark);
  };
  add("GGN before", before, "F", split.fisher(), true);
  add("GGN after", after, "F", split.fisher(), targets.own);
  add("GGN after", after, "empirical F", split.empirical_fisher(t), targets.one_hot);
  add("GGN after", after, "E_t[s sᵀ]", split.score_products_under(t), true);
  fmt::print("\n");
  return json;
}

/// The same distances while the targets go from one-hot to the model's own.
Json curve_of(const SplitPoint& split) {
  constexpr int kPoints = 21;
  const auto hot = split.one_hot(), p = split.probabilities().detach();
  Json json;
  for (int i = 0; i < kPoints; ++i) {
    const double share = i / (kPoints - 1.0);
    const auto t = (1 - share) * hot + share * p;
    const auto after = split.after_softmax(t);
    json["share"].push_back(share);
    json["before_to_fisher"].push_back(split.distance(split.before_softmax(t), split.fisher()));
    json["after_to_fisher"].push_back(split.distance(after, split.fisher()));
    json["after_to_empirical"].push_back(split.distance(after, split.empirical_fisher(t)));
    json["after_to_scores"].push_back(split.distance(after, split.score_products_under(t)));
  }
  return json;
}

/// The matrices to draw, and which of two they are found to be equal to.
Json pictures_of(const Problem& problem, const SplitPoint& split) {
  const auto empirical = split.empirical_fisher(split.one_hot());
  auto json = Json::array();
  const auto add = [&](const char* title, const Tensor& matrix) {
    json.push_back({{"title", title},
                    {"is_fisher", split.distance(matrix, split.fisher()) <= kEqualMatrices},
                    {"is_empirical", split.distance(matrix, empirical) <= kEqualMatrices},
                    {"values", to_json(matrix)}});
  };
  add("(a) Fisher matrix F", split.fisher());
  add("(b) GGN", split.before_softmax(split.one_hot()));
  add("(c) E[score scoreᵀ]", expected_score_products(problem));
  add("(d) -E[∇² log r]", minus_expected_hessian(problem));
  add("empirical Fisher", empirical);
  add("GGN, softmax in the network", split.after_softmax(split.one_hot()));
  add("the same, targets smoothed", split.after_softmax(targets_of(split)[1].t));
  add("Hessian of the objective", objective_hessian(problem));
  return json;
}

}  // namespace

Json compare_split_points(const Setting& setting, Findings& findings) {
  torch::manual_seed(setting.seed);
  const Problem problem(family_named("Categorical"), setting.examples);
  const SplitPoint split(problem, setting.tamper);
  fmt::print(
      "\nThe split between network and loss, before and after the softmax, under targets t; "
      "distances over ‖F‖.\n\n{:<22}{:>21}{:>21}{:>21}{:>21}\n",
      "targets", "GGN before: to F", "GGN after: to F", "to empirical F", "to E_t[s sᵀ]");
  Json json;
  for (const auto& targets : targets_of(split)) {
    json["lines"].push_back(compare(split, targets, findings));
  }
  const auto mark = findings.must_be_equal(
      "split", "any targets", "F of the probabilities", "F of the logits",
      split.distance(split.fisher_from_probabilities(), split.fisher()), kEqualMatrices);
  fmt::print("The Fisher matrix itself, before and after the softmax: {}\n", mark);
  json["curve"] = curve_of(split);
  json["matrices"] = pictures_of(problem, split);
  return json;
}

}  // namespace examples
