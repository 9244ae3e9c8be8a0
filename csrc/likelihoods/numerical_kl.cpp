#include "likelihoods/numerical_kl.h"

#include <torch/torch.h>

#include <algorithm>
#include <limits>

#include "likelihoods/differentiate.h"
#include "likelihoods/quadrature.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// A divergence below which the difference of two logarithms has lost digits, and the integral
// along d is smooth enough for so many nodes.
constexpr double kNear = 1e-2;
constexpr int64_t kNodesAlong = 6;

/// A value whose slopes in two tensors of its shape are known.
struct WithSlopes : torch::autograd::Function<WithSlopes> {
  static Tensor forward(AutogradContext* context, const Tensor& value, const Tensor&, const Tensor&,
                        const Tensor& slope, const Tensor& moved_slope) {
    context->save_for_backward({slope, moved_slope});
    return value.clone();
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        !torch::GradMode::is_enabled(),
        "natgrad: a KL divergence by quadrature (Huber, StudentT, Location, "
        "ExpLoss) is differentiable once, but a second derivative was "
        "asked for.");
    const auto slopes = context->get_saved_variables();
    return {{}, gradients[0] * slopes[0], gradients[0] * slopes[1], {}, {}};
  }
};

struct Divergence {
  Tensor value, slope, moved_slope;  // [n]; slopes in z and z'
};

/// One kind of quadrature for rows of z and z', [n] in double.
class Rows {
 public:
  Rows(const LogDensity& log_density, const Domain& domain, int level, const std::string& name)
      : log_density_(log_density), domain_(domain), level_(level), name_(name) {}

  Divergence at(const Tensor& z, const Tensor& moved) const {
    const auto [r, l] = on_both(z, moved);
    const auto there = r.probabilities > 0;
    const auto fall = torch::where(there, r.log_density - l.value, 0);
    const auto turn = torch::where(there, r.score - l.first, 0);
    const auto mean = [&](const Tensor& f) { return (r.probabilities * f).sum(1); };
    return {mean(fall), mean(r.score * fall), mean(turn)};
  }

  /// d ∫ E[∂ℓ(y, z) - ∂ℓ(y, z + s d)] ds: E[∂ℓ(y, z)] is zero, and that of the rule goes with it.
  Tensor near(const Tensor& z, const Tensor& moved) const {
    static const auto rule = gauss_legendre(kNodesAlong);
    const auto d = moved - z;
    auto sum = torch::zeros_like(z);
    for (size_t i = 0; i < rule.nodes.size(); ++i) {
      sum += rule.weights[i] * at(z, z + rule.nodes[i] * d).moved_slope;
    }
    return d * sum;
  }

 private:
  std::pair<NumericalDensity, Derivatives> on_both(const Tensor& z, const Tensor& moved) const {
    auto r = evaluate(log_density_, z, domain_, level_, name_, /*with_curvature=*/false, moved);
    auto l = differentiate([&](const Tensor& at) { return log_density_(r.nodes, at); },
                           moved.unsqueeze(1).expand_as(r.nodes));
    return {std::move(r), std::move(l)};
  }

  const LogDensity& log_density_;
  const Domain& domain_;
  int level_;
  const std::string& name_;
};

Divergence divergence_of(const Rows& rows, const Tensor& z, const Tensor& moved) {
  auto result = rows.at(z, moved);
  const auto near = (result.value < kNear).nonzero().squeeze(1);
  if (near.numel() > 0) {
    result.value.index_copy_(0, near,
                             rows.near(z.index_select(0, near), moved.index_select(0, near)));
  }
  return result;
}

Divergence joined(const std::vector<Divergence>& parts) {
  const auto all = [&](Tensor Divergence::*piece) {
    std::vector<Tensor> pieces;
    for (const auto& part : parts) pieces.push_back(part.*piece);
    return torch::cat(pieces);
  };
  return {all(&Divergence::value), all(&Divergence::slope), all(&Divergence::moved_slope)};
}

}  // namespace

Tensor kl_by_quadrature(const LogDensity& log_density, const Tensor& z, const Tensor& moved,
                        const Domain& domain, int level, const std::string& name) {
  if (z.numel() == 0) return torch::zeros_like(z);
  const auto flat = z.reshape(-1).to(torch::kDouble), other = moved.reshape(-1).to(torch::kDouble);
  const auto is_finite = flat.isfinite().logical_and(other.isfinite());
  const auto known = [&](const Tensor& t) { return torch::where(is_finite, t.detach(), 0); };
  const auto at_once = std::max<int64_t>(1, rows_at_once(domain, level) / 2);  // twice the pieces
  const auto starts = known(flat).split(at_once), ends = known(other).split(at_once);
  const Rows rows(log_density, domain, level, name);
  std::vector<Divergence> parts;
  for (size_t i = 0; i < starts.size(); ++i) {
    parts.push_back(divergence_of(rows, starts[i], ends[i]));
  }
  const auto [value, slope, moved_slope] = joined(parts);
  const auto kl = WithSlopes::apply(
      value.masked_fill(is_finite.logical_not(), std::numeric_limits<double>::quiet_NaN()), flat,
      other, slope, moved_slope);
  return kl.view(z.sizes()).to(z.scalar_type());
}

Tensor shift_divergence(const std::function<Tensor(const Tensor& x)>& log_density, const Tensor& d,
                        const std::vector<double>& kinks, int level, const std::string& name) {
  const LogDensity at_residual = [&](const Tensor& y, const Tensor& z) {
    return log_density(y - z);
  };
  const auto shift = d.to(torch::kCPU);
  const auto kl = kl_by_quadrature(at_residual, torch::zeros_like(shift.detach()), shift,
                                   Domain::real_line(kinks), level, name);
  return kl.to(d.device());
}

}  // namespace natgrad::detail
