// Two players of a GAN, each with an optimizer of its own: the setting that docs/guide/recipes.md
// names for them.

#include <natgrad/damping/proximal.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/oracles.h"

namespace natgrad::testing::two_players_test {
namespace {

namespace F = torch::nn::functional;

struct Game {
  static constexpr int64_t kBatch = 64;

  at::Generator generator;
  torch::nn::Sequential artist, critic;

  explicit Game(uint64_t seed)
      : generator(seeded(seed)), artist(network(2, 2)), critic(network(2, 1)) {
    const torch::NoGradGuard no_grad;
    for (const auto& net : {artist.ptr(), critic.ptr()}) {
      for (auto& p : net->parameters()) {
        p.copy_(0.4 * torch::randn(p.sizes(), generator, p.options()));
      }
    }
  }
  static torch::nn::Sequential network(int64_t in, int64_t out) {
    return torch::nn::Sequential(torch::nn::Linear(in, 32), torch::nn::Tanh(),
                                 torch::nn::Linear(32, out));
  }

  /// Points around a circle of radius 2.
  Tensor real() {
    const auto angle = 6.2832 * torch::rand({kBatch}, generator);
    return 2 * torch::stack({angle.cos(), angle.sin()}, 1) +
           0.1 * torch::randn({kBatch, 2}, generator);
  }
  Tensor fake() { return artist->forward(torch::randn({kBatch, 2}, generator)); }
  Tensor loss_of(const Tensor& points, double label) {
    return F::binary_cross_entropy_with_logits(critic->forward(points),
                                               torch::full({kBatch, 1}, label));
  }
  Tensor loss_of_critic() { return loss_of(real(), 1) + loss_of(fake().detach(), 0); }
  Tensor loss_of_artist() { return loss_of(fake(), 1); }
};

struct Play {
  double worst_loss = 0, largest_point = 0, mean_radius = 0;
};

Play play(torch::optim::Optimizer& of_artist, torch::optim::Optimizer& of_critic, Game& game) {
  Play played;
  for (int t = 0; t < 400; ++t) {
    const auto critic = of_critic.step([&] { return game.loss_of_critic(); });
    const auto artist = of_artist.step([&] { return game.loss_of_artist(); });
    played.worst_loss = std::max({played.worst_loss, critic.item<double>(), artist.item<double>()});
  }
  const torch::NoGradGuard no_grad;
  const auto radius = game.fake().norm(2, 1);
  played.largest_point = radius.max().item<double>();
  played.mean_radius = radius.mean().item<double>();
  return played;
}

struct TwoPlayers : ::testing::TestWithParam<uint64_t> {};

TEST_P(TwoPlayers, StayNearTheDataWithoutMemoryAtAFixedRate) {
  const auto options = NaturalGradientOptions(0.1).damping(Proximal().momentum(0));
  Game game(GetParam());
  NaturalGradient artist(game.artist->parameters(), options),
      critic(game.critic->parameters(), options);
  const auto played = play(artist, critic, game);
  // 1.5 to 1.9; the default's players reach 4.4 and 5.8 with two of these seeds, less than 4 with
  // the third.
  EXPECT_LT(played.worst_loss, 2.5);
  EXPECT_LT(played.largest_point, 6);
  EXPECT_NEAR(played.mean_radius, 2, 0.7);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TwoPlayers, ::testing::Values(0, 1, 2));

}  // namespace
}  // namespace natgrad::testing::two_players_test
