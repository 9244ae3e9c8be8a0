#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace natgrad {

namespace detail {
class InverseDistribution;
}

/// Noise of a user's own density c(x), given as ℓ(x) = log c(x) up to a constant, and what
/// `Location` needs to know of it by quadrature (double-exponential, Takahasi & Mori 1974): the
/// normaliser Z = ∫ e^ℓ dx and the Fisher information κ = ∫ c'²/c dx = E[ℓ'(x)²].
///
/// Make it once and use it for every batch: it evaluates ℓ on some thousand numbers. Copies share
/// what was computed.
class NATGRAD_EXPORT NoiseDensity {
 public:
  /// A function of each element.
  using Function = std::function<torch::Tensor(const torch::Tensor& x)>;

  /// `log_density` ℓ: elementwise on tensors of any shape, made of operations that autograd knows;
  /// here it is called with double tensors on the CPU, by `Location` with tensors like z. `kinks`:
  /// where ℓ or its slope jumps, or c is narrow, in x's units; quadrature goes piecewise between
  /// them. κ is known to eleven digits for functions smooth between kinks, to five with kinks
  /// that are not listed.
  ///
  /// Throws, with the place and the figures, where ℓ is NaN or +∞, or c zero; where Z or κ does not
  /// exist; where c jumps, for then E[ℓ'(x)] is not zero and κ is not the Fisher information; where
  /// ℓ holds tensors that require a gradient.
  explicit NoiseDensity(Function log_density, std::vector<double> kinks = {0});

  /// log c(x), normalised; x's shape and dtype, differentiable.
  torch::Tensor log_prob(const torch::Tensor& x) const;
  /// ℓ'(x); x's shape and dtype.
  torch::Tensor slope(const torch::Tensor& x) const;
  /// x with the distribution function at `uniform`, double in [0, 1); of a density linear between
  /// some thousand nodes: to 1e-5.
  torch::Tensor quantile(const torch::Tensor& uniform) const;

  /// KL(c(x) ‖ c(x - d)) for each shift d of any shape, in nats; once differentiable.
  torch::Tensor divergence(const torch::Tensor& d) const;

  /// κ, in 1/x².
  double fisher() const { return state_->fisher; }
  /// log Z.
  double log_normaliser() const { return state_->log_normaliser; }
  /// Whether -ℓ'' = κ everywhere: whether it is a Gaussian.
  bool is_gaussian() const;
  /// A hash of its values: equal for functions of equal values.
  const std::string& describe() const { return state_->text; }

 private:
  struct State {
    Function log_density;
    std::vector<double> kinks;
    int level;
    double fisher, log_normaliser;
    std::shared_ptr<const detail::InverseDistribution> inverse;
    std::string text;
  };

  std::shared_ptr<const State> state_;
};

}  // namespace natgrad
