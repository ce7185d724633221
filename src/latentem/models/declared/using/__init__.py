"""What users ask of a declared model: to explain itself, to predict, to draw samples."""
