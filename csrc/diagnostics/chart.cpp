#include "diagnostics/chart.h"

#include <natgrad/linalg/parameters.h>
#include <torch/torch.h>

#include <cmath>
#include <memory>

#include "linalg/norm.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Of g(g⁻¹(θ)) against θ, in roundings.
constexpr double kRoundingsOfStart = 1e4;

const std::vector<Tensor>& checked_parameters(const std::vector<Tensor>& parameters) {
  check_parameters(parameters);
  for (size_t k = 0; k < parameters.size(); ++k) {
    TORCH_CHECK_VALUE(parameters[k].requires_grad(), "natgrad: parameter ", k,
                      " does not require a gradient. Name those that are trained.");
  }
  return parameters;
}

/// γ with g(γ) = θ, where J_g is invertible.
Tensor start_of_chart(const Reparametrisation& g, const Tensor& theta) {
  const torch::NoGradGuard no_grad;
  const auto gamma = g.inverse(theta).detach();
  const double off = norm_in_double(g.forward(gamma) - theta);
  const double rounding = rounding_of(theta.options()) * (1 + norm_in_double(theta));
  const double condition = g.condition(gamma);
  TORCH_CHECK_VALUE(
      std::isfinite(condition) && condition * rounding_of(theta.options()) < 1,
      "natgrad: the Jacobian of θ = ", g.describe(),
      " is singular at the model's parameters, with "
      "a condition of ",
      condition,
      ". A map may be invertible and its Jacobian not, as γ³ at 0; "
      "what is said of curvatures under reparametrisation needs the latter. Start elsewhere, or "
      "take another map.");
  TORCH_CHECK_VALUE(off <= kRoundingsOfStart * condition * rounding, "natgrad: θ = ", g.describe(),
                    " does not lead back to the model's parameters from its inverse: it is off by ",
                    off, ". Mend Reparametrisation::inverse.");
  return gamma;
}

/// Lets the leaves be again, when this goes, what they are now.
class StandInGuard {
 public:
  explicit StandInGuard(ReplacedLeaves& leaves) : leaves_(leaves), stand_ins_(leaves.stand_ins()) {}
  ~StandInGuard() { stand_ins_.empty() ? leaves_.put_back() : leaves_.by(stand_ins_); }
  StandInGuard(const StandInGuard&) = delete;
  StandInGuard& operator=(const StandInGuard&) = delete;

 private:
  ReplacedLeaves& leaves_;
  std::vector<Tensor> stand_ins_;
};

}  // namespace

LossOfParameters::LossOfParameters(const std::vector<Tensor>& parameters, Loss loss)
    : loss_(std::move(loss)),
      leaves_(checked_parameters(parameters)),
      theta_(ParameterLayout(parameters).values()) {
  TORCH_CHECK_VALUE(loss_ != nullptr, "natgrad: a closure that answers the loss is needed.");
  before_.generators(theta_.device());
  generators_ = generator_states(theta_.device());
}

Tensor LossOfParameters::at(const Tensor& theta) {
  generators_();
  const bool is_trial = !torch::GradMode::is_enabled();
  const auto guard = is_trial ? std::make_unique<const StandInGuard>(leaves_) : nullptr;
  std::vector<Tensor> pieces;
  int64_t offset = 0;
  for (const auto& p : leaves_.own()) {
    pieces.push_back(theta.narrow(0, offset, p.numel()).view(p.sizes()));
    offset += p.numel();
  }
  leaves_.by(pieces);
  return loss_();
}

Chart::Chart(LossOfParameters& h, const Reparametrisation* g) : h_(h), g_(g) {
  gamma_ = (g_ ? start_of_chart(*g_, h.theta()) : h.theta()).clone().requires_grad_();
}

void Chart::move_to(const Tensor& value) {
  const torch::NoGradGuard no_grad;
  gamma_.copy_(value);
}

Tensor Chart::result() const {
  const auto theta = g_ ? g_->forward(gamma_) : gamma_.clone();
  TORCH_CHECK_VALUE(theta.sizes() == gamma_.sizes(), "natgrad: θ = ", g_ ? g_->describe() : "γ",
                    " has to be of γ's shape, ", gamma_.sizes(), ", but is of ", theta.sizes(),
                    ".");
  return theta;
}

Tensor Chart::theta() const {
  const torch::NoGradGuard no_grad;
  return result();
}

LossGraph Chart::graph() {
  const torch::AutoGradMode enable_grad(true);
  return LossGraph(loss(), {gamma_}, Terms::WhenAsked);
}

}  // namespace natgrad::detail
