#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace natgrad {

/// Other parameters γ for the same model, θ = g(γ), both flat vectors of [P] (Martens, "New
/// perspectives", section 10). One of your own has `forward` and `describe`; the rest follows by
/// autograd, or is overridden where it is known in closed form or P is large:
///
/// ```cpp
/// struct Cubes final : natgrad::Reparametrisation {
///   torch::Tensor forward(const torch::Tensor& gamma) const override {
///     return gamma + gamma.pow(3);
///   }
///   std::string describe() const override { return "γ + γ³"; }
/// };
/// ```
class NATGRAD_EXPORT Reparametrisation {
 public:
  virtual ~Reparametrisation() = default;
  /// g(γ), [P], differentiable twice.
  virtual torch::Tensor forward(const torch::Tensor& gamma) const = 0;
  /// For messages.
  virtual std::string describe() const = 0;
  /// A γ with g(γ) = θ. By default Newton's method from γ = θ with the explicit J_g, for P of at
  /// most 2048; it throws `c10::ValueError` where that finds none.
  virtual torch::Tensor inverse(const torch::Tensor& theta) const;
  /// J_g v, [P]. By default two backward passes through `forward`.
  virtual torch::Tensor multiply_jacobian(const torch::Tensor& gamma, const torch::Tensor& v) const;
  /// J_gᵀu, [P]. By default a backward pass.
  virtual torch::Tensor multiply_jacobian_transposed(const torch::Tensor& gamma,
                                                     const torch::Tensor& u) const;
  /// The largest singular value of J_g over the smallest: infinite where J_g is singular. By
  /// default of the explicit J_g, for P of at most 2048, else it throws
  /// `c10::NotImplementedError`.
  virtual double condition(const torch::Tensor& gamma) const;
  /// Whether g(γ) = A γ + b: then steps of any size are the same.
  virtual bool is_affine() const { return false; }
};

/// J_g itself, [P, P], for P of at most 2048: P products.
NATGRAD_EXPORT torch::Tensor jacobian_of(const Reparametrisation& g, const torch::Tensor& gamma);

/// θ = A γ + b.
class NATGRAD_EXPORT Affine final : public Reparametrisation {
 public:
  /// A of [P, P], invertible, or of [P] for a diagonal matrix; b of [P], or undefined for 0. Throws
  /// `c10::ValueError` for other shapes, dtypes that differ, numbers that are not finite, and a
  /// diagonal with a zero.
  explicit Affine(torch::Tensor A, torch::Tensor b = {});
  /// A number for each parameter tensor: θ_k = a_k γ_k. To write metres as centimetres, a = 0.01.
  static Affine per_tensor(const std::vector<torch::Tensor>& parameters,
                           const std::vector<double>& factors);
  /// A map that mixes all parameters, for any P: A = diag(d) (I - 2uuᵀ), with u random of length 1,
  /// d random from 1/√c to √c: of condition c at most. `like`: whose dtype and device it has.
  static Affine mixing(int64_t size, double condition, uint64_t seed,
                       const torch::Tensor& like = {});

  /// A γ + b.
  torch::Tensor forward(const torch::Tensor& gamma) const override;
  /// A⁻¹(θ - b).
  torch::Tensor inverse(const torch::Tensor& theta) const override;
  /// A v.
  torch::Tensor multiply_jacobian(const torch::Tensor& gamma,
                                  const torch::Tensor& v) const override;
  /// Aᵀu.
  torch::Tensor multiply_jacobian_transposed(const torch::Tensor& gamma,
                                             const torch::Tensor& u) const override;
  double condition(const torch::Tensor& gamma) const override;
  bool is_affine() const override { return true; }
  std::string describe() const override;

 private:
  torch::Tensor A_, b_, reflection_;  // A diag(d) (I - 2uuᵀ) where there is a reflection u
};

/// Each parameter by itself, θᵢ = g(γᵢ).
class NATGRAD_EXPORT Elementwise final : public Reparametrisation {
 public:
  /// An elementwise function.
  using Map = std::function<torch::Tensor(const torch::Tensor&)>;
  /// `forward` and `inverse` elementwise; the slope by autograd, unless it is given.
  Elementwise(std::string name, Map forward, Map inverse, Map slope = nullptr);
  /// θ = origin + e^γ, for parameters above `origin`.
  static Elementwise exp(double origin = 0);
  /// θ = s sinh(γ/s), for all parameters: near 0 it is θ = γ, far out a logarithm. s > 0.
  static Elementwise sinh(double scale = 1);

  torch::Tensor forward(const torch::Tensor& gamma) const override;
  torch::Tensor inverse(const torch::Tensor& theta) const override;
  torch::Tensor multiply_jacobian(const torch::Tensor& gamma,
                                  const torch::Tensor& v) const override;
  torch::Tensor multiply_jacobian_transposed(const torch::Tensor& gamma,
                                             const torch::Tensor& u) const override;
  double condition(const torch::Tensor& gamma) const override;
  std::string describe() const override { return name_; }

 private:
  torch::Tensor slope_at(const torch::Tensor& gamma) const;

  std::string name_;
  Map forward_, inverse_, slope_;
};

}  // namespace natgrad
