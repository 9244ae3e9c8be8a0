#include "support/ising.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

// The exact energy, local energies and sums against the matrix H of a short ring, and the chains
// against the distribution they are to draw from.

namespace natgrad::testing::ising_test {
namespace {

using examples::IsingChain, torch::Tensor;

// Eigenvalues and sums in double.
constexpr double kRounding = 1e-11;
// Of 20,000 samples from 32 states: about five standard deviations of a frequency.
constexpr double kSampling = 0.015;

/// H as a matrix over all configurations, from its definition.
Tensor hamiltonian(const IsingChain& chain) {
  const auto L = chain.spins;
  const int64_t count = int64_t{1} << L;
  auto H = torch::zeros({count, count}, torch::kDouble);
  for (int64_t state = 0; state < count; ++state) {
    const auto spin = [&](int64_t i) { return state >> (i % L) & 1 ? 1. : -1.; };
    double energy = 0;
    for (int64_t i = 0; i < L; ++i) {
      energy -= chain.coupling * spin(i) * spin(i + 1);
      H[state][state ^ int64_t{1} << i] = -chain.field;
    }
    H[state][state] = energy;
  }
  return H;
}

std::vector<IsingChain> chains() {
  return {{3, 1, 1}, {4, 1, 1}, {5, 1, 1}, {8, 1, 1}, {8, 1, 0.3}, {7, 0.5, 2}, {6, 1, 0}};
}

Tensor all_of(const IsingChain& chain) {
  return examples::configurations(0, int64_t{1} << chain.spins, chain.spins);
}

/// A log-amplitude without symmetries.
Tensor log_amplitude(const Tensor& x) {
  const auto L = x.size(1);
  const auto a = torch::linspace(-0.2, 0.5, L, torch::kDouble);
  return x.mv(a) + 0.3 * (x * x.roll(1, 1)).mv(a.square());
}

TEST(IsingTest, FreeFermionsAreTheLowestEigenvalue) {
  for (const auto& chain : chains()) {
    const auto lowest = torch::linalg_eigvalsh(hamiltonian(chain)).min().item<double>();
    EXPECT_NEAR(ground_energy(chain), lowest, kRounding) << chain.spins << " " << chain.field;
  }
}

TEST(IsingTest, LocalEnergiesAreThoseOfTheMatrix) {
  for (const auto& chain : chains()) {
    const auto x = all_of(chain), log_psi = log_amplitude(x), psi = log_psi.exp();
    const auto expected = hamiltonian(chain).mv(psi) / psi;
    const auto energies = local_energies(chain, x, log_psi, log_amplitude);
    EXPECT_LT((energies - expected).abs().max().item<double>(), 1e-10);
    const double energy = (psi.dot(hamiltonian(chain).mv(psi)) / psi.dot(psi)).item<double>();
    EXPECT_NEAR(energy_of_all(chain, log_amplitude), energy, kRounding);
  }
}

TEST(IsingTest, ChainsDrawFromTheSquaredAmplitudes) {
  torch::manual_seed(1);
  const IsingChain chain{.spins = 5};
  examples::MetropolisChains chains(20'000, chain.spins);
  chains.advance(log_amplitude, 20);
  const auto places = torch::bitwise_left_shift(torch::ones({5}, torch::kLong), torch::arange(5));
  const auto states = (chains.configurations().gt(0) * places).sum(1);
  const auto frequencies = states.bincount({}, 32).to(torch::kDouble) / 20'000;
  const auto expected = (2 * log_amplitude(all_of(chain))).softmax(0);
  EXPECT_GT(expected.max().item<double>(), 4 * kSampling) << "the test could not fail";
  EXPECT_LT((frequencies - expected).abs().max().item<double>(), kSampling);
}

}  // namespace
}  // namespace natgrad::testing::ising_test
