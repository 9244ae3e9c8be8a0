#include "support/ising.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace examples {

using torch::Tensor;

double ground_energy(const IsingChain& chain) {
  const double J = chain.coupling, h = chain.field;
  double sum = 0;
  for (int64_t n = 0; n < chain.spins; ++n) {
    const double k = std::numbers::pi * static_cast<double>(2 * n + 1) / chain.spins;
    sum += std::sqrt(J * J + h * h - 2 * J * h * std::cos(k));
  }
  return -sum;
}

Tensor coupling_energies(const IsingChain& chain, const Tensor& x) {
  return -chain.coupling * (x * x.roll(1, 1)).sum(1);
}

Tensor local_energies(const IsingChain& chain, const Tensor& x, const Tensor& log_psi,
                      const LogAmplitude& log_amplitude) {
  const auto L = chain.spins;
  const auto flips = 1 - 2 * torch::eye(L, x.options());
  const auto flipped = (x.unsqueeze(1) * flips).view({-1, L});
  const auto ratios = (log_amplitude(flipped).view({-1, L}) - log_psi.unsqueeze(1)).exp();
  return coupling_energies(chain, x) - chain.field * ratios.sum(1);
}

Tensor configurations(int64_t first, int64_t count, int64_t spins) {
  const auto numbers = torch::arange(first, first + count).unsqueeze(1);
  const auto bits = torch::bitwise_right_shift(numbers, torch::arange(spins)).bitwise_and(1);
  return (2 * bits - 1).to(torch::kDouble);
}

double energy_of_all(const IsingChain& chain, const LogAmplitude& log_amplitude) {
  constexpr int64_t kAtOnce = 1 << 15;
  const torch::NoGradGuard no_grad;
  const int64_t total = int64_t{1} << chain.spins;
  std::vector<Tensor> log_psi, diagonal;
  for (int64_t first = 0; first < total; first += kAtOnce) {
    const auto x = configurations(first, std::min(kAtOnce, total - first), chain.spins);
    log_psi.push_back(log_amplitude(x).to(torch::kDouble));
    diagonal.push_back(coupling_energies(chain, x));
  }
  auto psi = torch::cat(log_psi);
  psi = (psi - psi.max()).exp();
  auto H_psi = torch::cat(diagonal) * psi;
  for (int64_t i = 0; i < chain.spins; ++i) {  // flipping bit i exchanges neighbouring blocks
    const auto blocks = psi.view({-1, 2, int64_t{1} << i});
    H_psi -= chain.field * blocks.flip(1).view(-1);
  }
  return (psi.dot(H_psi) / psi.dot(psi)).item<double>();
}

MetropolisChains::MetropolisChains(int64_t chains, int64_t spins, torch::Dtype dtype)
    : x_((2 * torch::randint(2, {chains, spins}, torch::kLong) - 1).to(dtype)) {}

void MetropolisChains::advance(const LogAmplitude& log_amplitude, int64_t sweeps) {
  const torch::NoGradGuard no_grad;
  const auto chains = x_.size(0), L = x_.size(1);
  auto log_psi = log_amplitude(x_);
  const auto propose = [&](const Tensor& proposed, const Tensor& logarithm_of_uniform) {
    const auto log_proposed = log_amplitude(proposed);
    const auto accepted = logarithm_of_uniform < 2 * (log_proposed - log_psi);
    x_ = torch::where(accepted.unsqueeze(1), proposed, x_);
    log_psi = torch::where(accepted, log_proposed, log_psi);
  };
  for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
    const auto sites = torch::randint(L, {L, chains, 1});
    const auto uniform = torch::rand({L + 1, chains}, x_.options()).log();
    for (int64_t k = 0; k < L; ++k) {
      const auto spin = x_.gather(1, sites[k]);
      propose(x_.scatter(1, sites[k], -spin), uniform[k]);
    }
    propose(-x_, uniform[L]);
  }
}

}  // namespace examples
