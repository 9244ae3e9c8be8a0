#pragma once

// Curvatures that are wrong in one way each: a diagnostic that lets one of them pass is none.

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace natgrad::testing {

/// F as `change` has it.
class AlteredFisher final : public Curvature {
 public:
  using Change = std::function<LinearOperator(const LossGraph& graph, const LinearOperator& F)>;

  AlteredFisher(std::string name, Change change)
      : name_(std::move(name)), change_(std::move(change)) {}
  CurvatureAt at(const LossGraph& graph) const override {
    return {graph, change_(graph, fisher(graph))};
  }
  std::string describe() const override { return name_; }
  std::shared_ptr<const Curvature> clone() const override {
    return std::make_shared<AlteredFisher>(*this);
  }

 private:
  std::string name_;
  Change change_;
};

/// F without the examples' last outputs: Jᵀ A J with A = F_R but for a row and a column.
inline LinearOperator without_last_output(const LossGraph& graph, const LinearOperator& F) {
  return {"without the last output", F.size(), F.options(), [graph](const torch::Tensor& v) {
            const auto cut = [](torch::Tensor t) {
              t = t.clone();
              t.select(-1, -1).zero_();
              return t;
            };
            auto jv = graph.multiply_jacobian(v);
            const auto& term = graph.terms().front();
            const auto product = term.weights * term.likelihood->fisher_multiply(cut(jv[0]));
            return graph.multiply_jacobian_transposed({cut(product)}).detach();
          }};
}

/// Scaled, of the wrong sign, and with a part missing.
inline std::vector<AlteredFisher> wrong_metrics() {
  using torch::Tensor;
  return {
      {"scaled", [](const LossGraph&, const LinearOperator& F) { return 1.02 * F; }},
      {"negated", [](const LossGraph&, const LinearOperator& F) { return -1 * F; }},
      {"missing a part", without_last_output},
  };
}

}  // namespace natgrad::testing
