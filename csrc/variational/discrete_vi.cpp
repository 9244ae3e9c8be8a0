#include <natgrad/linalg/low_rank.h>
#include <natgrad/variational/discrete_vi.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

using torch::Tensor;

namespace {

// A step is halved so often at most: then it is no more than rounding.
constexpr int kHalvings = 40;
// By which the ELBO, a sum over all states, may fall and be the same.
constexpr double kSame = 1e-13;

/// ∂y/∂x of vectors y of [M] and x of [P], [M, P], row by row.
Tensor jacobian_by_rows(const Tensor& y, const Tensor& x) {
  std::vector<Tensor> rows;
  for (int64_t k = 0; k < y.numel(); ++k) {
    const auto row = torch::autograd::grad({y[k]}, {x}, {}, /*retain_graph=*/true, false, true)[0];
    rows.push_back(row.defined() ? row : torch::zeros_like(x));
  }
  return torch::stack(rows);
}

/// The same column by column: J v is the derivative of u ↦ Jᵀu, which is linear.
Tensor jacobian_by_columns(const Tensor& y, const Tensor& x) {
  const auto u = torch::zeros_like(y).requires_grad_();
  const auto pulled =
      torch::autograd::grad({y}, {x}, {u}, true, /*create_graph=*/true, /*allow_unused=*/true)[0];
  TORCH_CHECK_VALUE(pulled.defined(), "natgrad: log q of a DiscreteVI does not depend on θ.");
  std::vector<Tensor> columns;
  for (int64_t j = 0; j < x.numel(); ++j) {
    const auto column =
        torch::autograd::grad({pulled[j]}, {u}, {}, /*retain_graph=*/true, false, true)[0];
    columns.push_back(column.defined() ? column : torch::zeros_like(y));
  }
  return torch::stack(columns, 1);
}

Tensor jacobian_of(const Tensor& y, const Tensor& x) {
  return y.numel() < x.numel() ? jacobian_by_rows(y, x) : jacobian_by_columns(y, x);
}

/// argmin ‖R d - t‖² + λ‖d‖², of least norm.
Tensor least_squares(const Tensor& R, const Tensor& t, double damping) {
  auto rows = R, targets = t;
  if (damping > 0) {
    const auto identity = torch::eye(R.size(1), R.options());
    rows = torch::cat({R, std::sqrt(damping) * identity});
    targets = torch::cat({t, torch::zeros({R.size(1)}, t.options())});
  }
  return std::get<0>(torch::linalg_lstsq(rows, targets.unsqueeze(1), std::nullopt, "gelsd"))
      .squeeze(1);
}

void check(const DiscreteVIOptions& options) {
  TORCH_CHECK_VALUE(options.rate() > 0 && options.rate() <= 1,
                    "natgrad: the rate of a DiscreteVI lies in (0, 1], but is ", options.rate(),
                    ".");
  TORCH_CHECK_VALUE(options.damping() >= 0 && std::isfinite(options.damping()),
                    "natgrad: the damping of a DiscreteVI is a finite number >= 0, but is ",
                    options.damping(), ".");
}

}  // namespace

DiscreteVI::DiscreteVI(Tensor log_joint, LogWeights log_q, Tensor initial,
                       DiscreteVIOptions options)
    : log_q_(std::move(log_q)), options_(options) {
  check(options_);
  TORCH_CHECK_VALUE(log_q_, "natgrad: a DiscreteVI needs log q, a function of θ, but got none.");
  TORCH_CHECK_VALUE(
      log_joint.defined() && log_joint.dim() == 1 && log_joint.numel() > 0 &&
          log_joint.is_floating_point() && log_joint.isfinite().all().item<bool>(),
      "natgrad: the log-joint of a DiscreteVI is one finite number for each state, of "
      "shape [M]; leave out states that are impossible.");
  TORCH_CHECK_VALUE(
      initial.defined() && initial.dim() == 1 && initial.numel() > 0 && initial.is_floating_point(),
      "natgrad: θ of a DiscreteVI is a floating-point vector of [P], but got ",
      initial.defined() ? c10::str(initial.dtype(), " ", initial.sizes()) : "none", ".");
  log_joint_ = log_joint.detach().to(torch::kDouble);
  theta_ = initial.detach().clone();
  const torch::NoGradGuard no_grad;
  log_probabilities(theta_);
}

// In double from there on: the differences log p - log q are small where q is good.
Tensor DiscreteVI::log_probabilities(const Tensor& theta) const {
  const auto weights = log_q_(theta);
  TORCH_CHECK_VALUE(weights.defined() && weights.sizes() == log_joint_.sizes(),
                    "natgrad: log q of a DiscreteVI is one number for each of the ",
                    log_joint_.numel(), " states, but is ",
                    weights.defined() ? c10::str("of shape ", weights.sizes()) : "undefined", ".");
  return weights.to(torch::kDouble).log_softmax(0);
}

Tensor DiscreteVI::probabilities() const {
  const torch::NoGradGuard no_grad;
  return log_probabilities(theta_).exp();
}

double DiscreteVI::elbo_at(const Tensor& theta) const {
  const torch::NoGradGuard no_grad;
  const auto log_q = log_probabilities(theta);
  return log_q.exp().dot(log_joint_ - log_q).item<double>();
}

double DiscreteVI::elbo() const { return elbo_at(theta_); }

double DiscreteVI::divergence() const { return log_joint_.logsumexp(0).item<double>() - elbo(); }

DiscreteVI::LeastSquaresFit DiscreteVI::fit() const {
  TORCH_CHECK(
      !c10::InferenceMode::is_enabled(),
      "natgrad: log q's derivatives were asked for inside c10::InferenceMode, which records "
      "no graph; leave that mode.");
  const torch::AutoGradMode with_graph(true);
  const auto theta = theta_.clone().requires_grad_();
  const auto log_q = log_probabilities(theta);
  TORCH_CHECK_VALUE(
      log_q.requires_grad(),
      "natgrad: log q of a DiscreteVI has no graph to θ: compute it from its argument "
      "by differentiable operations, without detach() or NoGradGuard.");
  const auto J = jacobian_of(log_q, theta).detach().to(torch::kDouble);
  const auto difference = log_joint_ - log_q.detach(), q = log_q.detach().exp();
  const auto root = q.sqrt();
  return {root.unsqueeze(1) * J, root * (difference - q.dot(difference))};
}

LinearOperator DiscreteVI::fisher() const {
  return low_rank(fit().rows.to(theta_.scalar_type()), "Fisher matrix of q");
}

Tensor DiscreteVI::gradient() const {
  const auto [rows, targets] = fit();
  return -rows.t().mv(targets).to(theta_.scalar_type());
}

const VariationalSummary& DiscreteVI::step() {
  const torch::NoGradGuard no_grad;
  const auto [rows, targets] = fit();
  VariationalSummary report;
  report.elbo = elbo();
  const auto log_q = log_probabilities(theta_);
  report.expected_log_joint = log_q.exp().dot(log_joint_).item<double>();
  report.outcome = VariationalOutcome::NonFinite;
  const double least = report.elbo - kSame * (1 + std::abs(report.elbo));
  if (rows.isfinite().all().item<bool>() && targets.isfinite().all().item<bool>()) {
    const auto d = least_squares(rows, targets, options_.damping());
    double share = 1;
    for (int k = 0; k <= kHalvings; ++k, share /= 2) {
      const auto to = theta_ + (options_.rate() * share * d).to(theta_.scalar_type());
      if (!(elbo_at(to) >= least)) continue;  // lower, or not a number
      theta_ = to;
      report.shortening = share;
      report.outcome = VariationalOutcome::Accepted;
      ++steps_;
      break;
    }
  }
  return summary_ = report;
}

}  // namespace natgrad
