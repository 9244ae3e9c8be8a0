#pragma once

#include "models/zoo.h"

namespace zoo {

/// Of all examples' rows those of the mini-batch; after the last one the first comes again.
inline Tensor rows(const Tensor& data, int64_t batch) {
  return data.narrow(0, batch % kBatches * kBatch, kBatch);
}

Model bce_by_hand();
Model contrastive();
Model conv_net();
Model cosine_siamese();
Model cox_survival();
Model cross_entropy_by_hand();
Model ctc();
Model deep_autoencoder();
Model denoising_diffusion();
Model dice_segmentation();
Model distillation();
Model embedding_bag();
Model focal_loss();
Model gaussian_nll_by_hand();
Model gaussian_nll_loss();
Model graph_convolution();
Model gru_forecaster();
Model hinge_svm();
Model log_cosh();
Model lstm_classifier();
Model matrix_factorisation();
Model mixture_density();
Model mlp_classifier();
Model multi_task();
Model neural_field();
Model pairwise_ranking();
Model physics_informed();
Model poisson_counts();
Model ppo();
Model q_learning();
Model quantile_regression();
Model reinforce();
Model resnet();
Model scripted_module();
Model skip_gram();
Model sparse_autoencoder();
Model tabular();
Model tied_language_model();
Model transformer_classifier();
Model triplet();
Model two_tower();
Model variational_autoencoder();

}  // namespace zoo
