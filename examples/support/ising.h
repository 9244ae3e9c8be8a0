#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace examples {

/// A ring of L spins ½ in a transverse field,
///
///     H = -J Σ σᶻᵢσᶻᵢ₊₁ - h Σ σˣᵢ,
///
/// whose ground state has amplitudes ψ(x) > 0 at all configurations x of ±1.
struct IsingChain {
  int64_t spins = 20;
  double coupling = 1, field = 1;  ///< J, h
};

/// log ψ at configurations of [N, L]: [N].
using LogAmplitude = std::function<torch::Tensor(const torch::Tensor& x)>;

/// By free fermions, -Σ √(J² + h² - 2Jh cos k) over k = π(2n + 1)/L (Pfeuty 1970); J, h ≥ 0.
double ground_energy(const IsingChain& chain);

/// -J Σ xᵢxᵢ₊₁ of each configuration, [N].
torch::Tensor coupling_energies(const IsingChain& chain, const torch::Tensor& x);

/// (Hψ)(x)/ψ(x) = -J Σ xᵢxᵢ₊₁ - h Σ ψ(x with xᵢ flipped)/ψ(x), [N]; its mean over x from |ψ|² is
/// the energy.
torch::Tensor local_energies(const IsingChain& chain, const torch::Tensor& x,
                             const torch::Tensor& log_psi, const LogAmplitude& log_amplitude);

/// Configurations first, ..., first + count - 1 of all 2ᴸ: bit i of the number is spin i, [count,
/// L] in double.
torch::Tensor configurations(int64_t first, int64_t count, int64_t spins);

/// ψᵀHψ/ψᵀψ summed over all 2ᴸ configurations: what samples estimate.
double energy_of_all(const IsingChain& chain, const LogAmplitude& log_amplitude);

/// Markov chains side by side whose configurations come from |ψ|², by Metropolis' rule: single
/// spins are flipped, and now and then all.
class MetropolisChains {
 public:
  /// From random configurations.
  MetropolisChains(int64_t chains, int64_t spins, torch::Dtype dtype = torch::kDouble);

  /// L single flips and one of all spins are proposed, `sweeps` times.
  void advance(const LogAmplitude& log_amplitude, int64_t sweeps);
  const torch::Tensor& configurations() const { return x_; }  ///< [chains, L]
  void set_configurations(const torch::Tensor& x) { x_ = x.clone(); }

 private:
  torch::Tensor x_;
};

}  // namespace examples
